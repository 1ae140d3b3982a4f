"""A job: one row, one request to run a job class with params."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import uuid_utils
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.db.models.base import ModelState
from django.db.models.expressions import RawSQL

from jobs import statuses
from jobs.models import clock, locking
from jobs.statuses import LIVING, TERMINAL, HeldBy, Status

# As str(UUID) writes it: what we push.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _JobId(UUID):
    """Keeps its text, which costs more to make than a UUID: a worker needs it ten times a job."""

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        super().__init__(text)
        object.__setattr__(self, "_text", text)  # a UUID lets nobody write

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"UUID({self._text!r})"

    def __reduce__(self) -> tuple[type[UUID], tuple[str]]:
        return UUID, (self._text,)


def new_job_id() -> UUID:
    """Return a new UUIDv7: ids of one process ascend, so the primary key grows at its end."""
    return _JobId(str(uuid_utils.uuid7()))


def job_ids(entry_ids: Iterable[str]) -> list[UUID]:
    """Return those of `entry_ids` that can be a job's id, in their order; others are plain rq's."""
    return [_JobId(entry_id) for entry_id in entry_ids if is_job_id(entry_id)]


def is_job_id(entry_id: str) -> bool:
    """Whether `entry_id` can be a job's id; plain rq's may look the same."""
    return _ID.fullmatch(entry_id) is not None


class JobQuerySet(models.QuerySet["JobStatus"]):
    """Many-row facts and moves of jobs."""

    def move(
        self,
        to: Status,
        *,
        claim: int | None = None,
        sources: frozenset[Status] | None = None,
        **changes: Any,
    ) -> list[UUID]:
        """Move the jobs of this set to `to` where the transitions table allows it.

        Locks the rows in id order first. Opens a transaction, or joins the caller's.

        Args:
            to: The status to move to; rows whose status forbids it are left alone.
            claim: The fence: only a row that still bears this claim moves.
            sources: Move only from these of the allowed statuses.
            changes: Further columns to write.

        Returns:
            The ids of the rows that moved, ascending.
        """
        legal = statuses.sources(to)
        allowed = self.filter(status__in=legal if sources is None else legal & sources)
        if claim is not None:
            allowed = allowed.filter(claim=claim)
        if to == Status.QUEUED:
            changes["claim"] = models.F("claim") + 1
        return locking.repeat_on_conflict(lambda: _move(allowed, to, changes))

    def request_cancel(self, request: dict[str, Any]) -> list[UUID]:
        """Write a cancel request on the started jobs of this set that have none; return their ids.

        Call inside a transaction.
        """
        asked = self.filter(status=Status.STARTED, cancel_requested_at=None).lock()
        JobStatus.objects.filter(id__in=asked).update(updated_at=RawSQL(clock.NOW, ()), **request)
        return asked

    def lock(self) -> list[UUID]:
        """Lock the rows of this set, in id order; return their ids. Call inside a transaction."""
        return list(
            self.order_by("id").select_for_update(of=("self",)).values_list("id", flat=True)
        )

    def living(self) -> JobQuerySet:
        """Return the jobs that have not ended."""
        return self.filter(status__in=LIVING)


def _move(allowed: JobQuerySet, to: Status, changes: dict[str, Any]) -> list[UUID]:
    with transaction.atomic():
        locked = allowed.lock()
        JobStatus.objects.filter(id__in=locked).update(
            status=to, updated_at=RawSQL(clock.NOW, ()), **changes
        )
    return locked


class JobStatus(models.Model):
    """One job. Nothing but `move` and the raw statements beside it writes `status`."""

    id = models.UUIDField(primary_key=True, default=new_job_id, editable=False)
    job_class = models.CharField(max_length=100)  # the registered name; REST calls it `job`
    queue = models.CharField(max_length=100)
    params = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Status])
    # Counted from 1 at the first start; a snooze and a give-back return it.
    attempt = models.IntegerField(default=0)
    # Grows by one with a person's retry of a job that has used all of them.
    max_attempts = models.IntegerField()
    # Grows at every start and every return to queued, never falls: the fence, the push's proof.
    claim = models.IntegerField(default=0)
    # Attempts whose worker was lost, since the checkpoint last moved.
    losses = models.IntegerField(default=0)
    interruptions = models.IntegerField(default=0)  # give-backs by a worker's stop
    # The worker of the last start; no constraint, so that a start costs no look at the other table.
    worker = models.ForeignKey(
        "jobs.JobWorker",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # From when the job may start, by the database's clock; with the id the order within a queue.
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)  # of the last attempt
    finished_at = models.DateTimeField(null=True, blank=True)  # set while terminal
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True, default="")
    cancel_reason = models.TextField(blank=True, default="")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="")  # one line; the whole story is in the attempts
    # {"done": int, "total": int | null, "message": str, "at": iso}; by the running attempt.
    progress = models.JSONField(null=True, blank=True)
    tags = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    held_by = models.CharField(
        max_length=10, blank=True, default="", choices=[(h.value, h.value) for h in HeldBy]
    )
    # Whether its end is followed by a look at those that wait for it. False though some do, where
    # their dispatch was cut off right after its commit: these the duty finds.
    has_dependents = models.BooleanField(default=False, db_default=False, editable=False)
    unique_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL is "none"
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="+",
    )
    schedule = models.CharField(max_length=100, blank=True, default="")  # its name, or empty
    logical_time = models.DateTimeField(null=True, blank=True)  # the tick's moment

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "job_statuses"
        verbose_name = "job"
        verbose_name_plural = "jobs"
        # Each start and each end writes an entry into every index that its row has a part in: why
        # these, and what each costs, stands in docs/adr/0007.
        indexes = [
            # The order within a queue, of all that is yet to start: the relay's.
            models.Index(
                fields=["status", "queue", "due_at", "id"],
                name="job_statuses_due",
                condition=models.Q(status__in=sorted(LIVING - {Status.STARTED})),
            ),
            # Newest first within a status, for lists and counts; and what runs now, for the rescue
            # and the keepers.
            models.Index(fields=["status", "created_at", "id"], name="job_statuses_by_status"),
            # The prune, which reads each class and status from its oldest end; living rows, and so
            # dispatch and start, have no part in it.
            models.Index(
                fields=["job_class", "status", "finished_at"],
                name="job_statuses_ended",
                condition=models.Q(finished_at__isnull=False),
            ),
            # The jobs of a schedule's run, and those of a schedule that still live; jobs without
            # a schedule have no part in them.
            models.Index(
                fields=["schedule", "logical_time"],
                name="job_statuses_of_runs",
                condition=~models.Q(schedule=""),
            ),
            models.Index(
                fields=["schedule", "logical_time"],
                name="job_statuses_living_runs",
                condition=~models.Q(schedule="") & models.Q(finished_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_class} {self.id}"

    @classmethod
    def of_columns(cls, names: Iterable[str], values: Iterable[Any]) -> JobStatus:
        """Return the job of a row just read by a cursor; other columns are loaded when asked for.

        As from_db, in a tenth of its time: a batch has 64 of them in a few milliseconds.

        Args:
            names: Of the columns, `params` among them.
            values: As the cursor has them: JSON as text.
        """
        job = cls.__new__(cls)
        state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        job.__dict__.update(zip(names, values, strict=True), _state=state)
        job.params = json.loads(job.params)
        return job

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL

    @property
    def is_cancellable(self) -> bool:
        """Whether a cancel would still change something."""
        return not self.is_terminal and self.cancel_requested_at is None
