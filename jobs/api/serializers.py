"""What a job looks like over REST."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs import registry
from jobs.insights import branch, rows, search
from jobs.models import JobStatus
from jobs.statuses import Status

STATUSES = [status.value for status in Status]
MAX_REASON = 1_000  # characters of why a job is cancelled
NEWEST_ATTEMPTS = 50  # shown with a job; each may bear a traceback of 64 KiB

Moment = partial(serializers.DateTimeField, default_timezone=dt.UTC)


class Job(serializers.Serializer[Any]):
    """A job: where it is in its life, and what came of it."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    result = serializers.JSONField(help_text="What the job returned; null until completed.")
    created_at = Moment()
    updated_at = Moment()
    job = serializers.CharField(source="job_class", help_text="The job class's registered name.")
    queue = serializers.CharField()
    attempt = serializers.IntegerField(help_text="The last attempt, from 1; 0 before the first.")
    max_attempts = serializers.IntegerField()
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    due_at = Moment(help_text="From when the job may start.")
    started_at = Moment(allow_null=True, help_text="Start of the last attempt.")
    finished_at = Moment(allow_null=True, help_text="Set while completed, failed or cancelled.")

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "description": "How far the running attempt is.",
            "properties": {
                "done": {"type": "integer"},
                "total": {"type": ["integer", "null"]},
                "message": {"type": "string"},
                "at": {"type": "string", "format": "date-time"},
            },
        }
    )
    def get_progress(self, job: JobStatus) -> Any:
        """Return the job's own words on how far it is."""
        return job.progress

    def get_error(self, job: JobStatus) -> str | None:
        """Return the last error in one line; null where there is none."""
        return job.error or None


class JobInList(Job):
    """A job in a list: without its result, with its tags."""

    result = None  # type: ignore[assignment]
    tags = serializers.ListField(child=serializers.CharField())


class Attempt(serializers.Serializer[Any]):
    """One ended attempt."""

    number = serializers.IntegerField(help_text="May repeat after a snooze or a give-back.")
    outcome = serializers.CharField()
    status = serializers.CharField(help_text="What the job became.")
    worker = serializers.CharField(source="worker_name")
    started_at = Moment()
    ended_at = Moment()
    due_at = Moment(allow_null=True, help_text="When the next attempt may start.")
    error_class = serializers.CharField()
    message = serializers.CharField()
    traceback = serializers.CharField()
    peak_memory = serializers.IntegerField(allow_null=True, help_text="Bytes.")
    result = serializers.JSONField()


class Related(serializers.Serializer[Any]):
    """A job that another one depends on, or that depends on it."""

    id = serializers.UUIDField(source="job_id")
    job = serializers.CharField(source="job_class")
    status = serializers.ChoiceField(choices=STATUSES)
    step = serializers.CharField(help_text="Its name in its workflow, or empty.")


class JobInDetail(Job):
    """A job whole: with its params (redacted ones hidden) and its newest attempts."""

    params = serializers.SerializerMethodField()
    tags = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    worker = serializers.CharField(source="worker.name", default=None, allow_null=True)
    held_by = serializers.CharField(help_text="What a waiting job waits for.")
    schedule = serializers.CharField(help_text="The schedule that made it, or empty.")
    logical_time = Moment(allow_null=True)
    losses = serializers.IntegerField(
        help_text="Attempts whose worker was lost, since its checkpoint last moved."
    )
    interruptions = serializers.IntegerField(help_text="Times given back by a worker's stop.")
    cancel_requested_at = Moment(allow_null=True)
    cancel_requested_by = serializers.CharField()
    cancel_reason = serializers.CharField()
    rows = serializers.SerializerMethodField()
    depends_on = serializers.SerializerMethodField()
    dependents = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField()

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "description": "Of an import, until its last checkpoint, in all attempts; else null.",
            "properties": {
                "in": {"type": "integer"},
                "out": {"type": "integer"},
                "rejected": {"type": "integer"},
                "kept": {"type": "integer", "description": "In rejected-rows.csv."},
            },
        }
    )
    def get_rows(self, job: JobStatus) -> dict[str, int] | None:
        """Return how many rows it has read, loaded and rejected."""
        found = rows.rows_of(job.id)
        return None if found is None else found.counts()

    @extend_schema_field(Related(many=True))
    def get_depends_on(self, job: JobStatus) -> Any:
        """Return the jobs that it depends on, in their order."""
        return Related(branch.parents(job.id), many=True).data

    @extend_schema_field(Related(many=True))
    def get_dependents(self, job: JobStatus) -> Any:
        """Return the jobs that depend on it, oldest first."""
        return Related(branch.dependents(job.id), many=True).data

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_params(self, job: JobStatus) -> dict[str, object]:
        """Return the params with the redacted ones hidden."""
        return registry.shown_params(job.job_class, job.params)

    @extend_schema_field(Attempt(many=True))
    def get_attempts(self, job: JobStatus) -> Any:
        """Return the newest ended attempts, oldest first."""
        return Attempt(search.attempts(job, newest=NEWEST_ATTEMPTS), many=True).data


class JobPage(serializers.Serializer[Any]):
    """A page of jobs, newest first."""

    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
    results = JobInList(many=True)


class Created(serializers.Serializer[Any]):
    """A job that was just made."""

    job_id = serializers.UUIDField(source="id")
    status = serializers.SerializerMethodField()

    def get_status(self, job: JobStatus) -> str:
        """Return the word of POST /create-jobs/: enqueued, or the row's own word."""
        return "enqueued" if job.status == Status.QUEUED else str(job.status)


class JobClass(serializers.Serializer[Any]):
    """A job class that may be run."""

    job = serializers.CharField(help_text="The name to send as `job`.")
    description = serializers.CharField()
    queue = serializers.CharField()
    max_attempts = serializers.IntegerField()
    timeout_seconds = serializers.FloatField(help_text="Longest run of one attempt.")
    atomic = serializers.BooleanField()
    tags = serializers.ListField(child=serializers.CharField())
    redact = serializers.ListField(child=serializers.CharField(), help_text="Hidden params.")
    params = serializers.DictField(help_text="JSON schema (draft 2020-12) of the params.")
    example = serializers.DictField(help_text="A body for POST /create-jobs/.")


class CancelRequest(serializers.Serializer[Any]):
    """Why a job is cancelled."""

    reason = serializers.CharField(required=False, max_length=MAX_REASON)


class Fault(serializers.Serializer[Any]):
    """One of the things that are wrong."""

    detail = serializers.CharField()
    pointer = serializers.CharField(
        required=False, help_text="Where in the body: a JSON pointer, #/3/params/source."
    )
    index = serializers.IntegerField(required=False, help_text="Which object of a list, from 0.")
    type = serializers.CharField(required=False, help_text="Its own problem type.")
    parameter = serializers.CharField(required=False, help_text="Which one of the query string.")


class ProblemDetails(serializers.Serializer[Any]):
    """What went wrong (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False)
    errors = Fault(many=True, required=False)  # type: ignore[assignment]
