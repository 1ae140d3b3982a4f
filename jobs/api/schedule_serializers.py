"""What schedules, their runs and backfills look like over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.api.serializers import Moment
from jobs.insights.schedules.runs import Run
from jobs.insights.schedules.shown import shown_params, shown_steps
from jobs.insights.schedules.words import in_words
from jobs.models import Backfill, Schedule, ScheduleRun
from jobs.schedules import backfill
from jobs.schedules.history import MAX_NOTE
from jobs.schedules.moments import spans

BACKFILL_STATUSES = Backfill.Status.values

_TEXT_OR_NULL = {"type": ["string", "null"]}


class RunOfSchedule(serializers.Serializer[Any]):
    """A moment of a schedule that was handled."""

    logical_time = Moment(help_text="The moment the run stands for.")
    status = serializers.CharField(
        help_text="The worst status of its jobs, also of deleted ones; where none was made: "
        "skipped or refused."
    )
    outcome = serializers.ChoiceField(choices=ScheduleRun.Outcome.values)
    reason = serializers.CharField(help_text="Why no job was made, or what was different.")
    kind = serializers.ChoiceField(
        choices=ScheduleRun.Kind.values, help_text="tick: its own; the others somebody asked for."
    )
    made_by = serializers.SerializerMethodField()
    job_id = serializers.UUIDField(
        allow_null=True, help_text="Of a workflow the job that has the worst status."
    )
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True, help_text="Null while a job of it lives.")
    rows = serializers.IntegerField(allow_null=True, help_text="What its result says of rows.")
    created_at = Moment()

    @extend_schema_field(_TEXT_OR_NULL)
    def get_made_by(self, run: Run) -> str | None:
        """Return who asked for it; null where its rule did."""
        return run.made_by or None


class RunPage(serializers.Serializer[Any]):
    """A page of runs, the newest moment first."""

    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
    results = RunOfSchedule(many=True)


class Pause(serializers.Serializer[Any]):
    """Since when a schedule is paused; its moments are skipped meanwhile."""

    at = Moment(source="paused_at")
    by = serializers.CharField(source="paused_by")
    note = serializers.CharField(source="pause_note")


class ScheduleInList(serializers.Serializer[Any]):
    """A schedule: when it makes which job, and how the last run went."""

    name = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=Schedule.Source.values, help_text="Those of settings are changed there."
    )
    description = serializers.SerializerMethodField(help_text="When, in plain English.")
    cron = serializers.ListField(child=serializers.CharField(), source="crons")
    every = serializers.SerializerMethodField(help_text="1h 30m; null where cron says when.")
    timezone = serializers.CharField(help_text="Of the cron lines.")
    job = serializers.SerializerMethodField(help_text="Null where it makes a workflow.")
    queue = serializers.SerializerMethodField(help_text="Null: the job class's own.")
    enabled = serializers.BooleanField()
    paused = serializers.SerializerMethodField()
    next_at = Moment(allow_null=True, help_text="Its next moment.")
    last_run = serializers.SerializerMethodField()

    def get_description(self, row: Schedule) -> str:
        """Return its rule in words."""
        return in_words(row.crons, row.every)

    @extend_schema_field(_TEXT_OR_NULL)
    def get_every(self, row: Schedule) -> str | None:
        """Return its interval."""
        return None if row.every is None else spans.written(row.every)

    @extend_schema_field(_TEXT_OR_NULL)
    def get_job(self, row: Schedule) -> str | None:
        """Return its job class."""
        return row.job_class or None

    @extend_schema_field(_TEXT_OR_NULL)
    def get_queue(self, row: Schedule) -> str | None:
        """Return where its jobs wait."""
        return row.queue or None

    @extend_schema_field(Pause(allow_null=True))
    def get_paused(self, row: Schedule) -> Any:
        """Return its pause."""
        return Pause(row).data if row.is_paused else None

    @extend_schema_field(RunOfSchedule(allow_null=True))
    def get_last_run(self, row: Schedule) -> Any:
        """Return the run of its newest moment."""
        runs: list[Run] = self.context["last_runs"][row.name]
        return RunOfSchedule(runs[-1]).data if runs else None


class ScheduleInDetail(ScheduleInList):
    """A schedule whole."""

    start_at = Moment(allow_null=True, help_text="No moment is earlier.")
    end_at = Moment(allow_null=True, help_text="No moment is later.")
    params = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()
    overlap = serializers.ChoiceField(choices=Schedule.Overlap.values)
    catch_up = serializers.CharField(help_text="none, last, or a window as 1h 30m.")
    jitter = serializers.SerializerMethodField(help_text="A job starts up to so much later.")
    next_moments = serializers.SerializerMethodField()

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_params(self, row: Schedule) -> dict[str, Any]:
        """Return its params, redacted ones hidden."""
        return shown_params(row)

    @extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
    def get_steps(self, row: Schedule) -> dict[str, Any] | None:
        """Return its workflow, redacted params hidden."""
        return shown_steps(row)

    def get_jitter(self, row: Schedule) -> str:
        """Return its jitter."""
        return spans.written(row.jitter)

    @extend_schema_field(serializers.ListField(child=Moment()))
    def get_next_moments(self, _: Schedule) -> list[Any]:
        """Return its next five moments."""
        return [Moment().to_representation(moment) for moment in self.context["next_moments"]]


class SchedulePage(serializers.Serializer[Any]):
    """A page of schedules, by name."""

    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
    results = ScheduleInList(many=True)


class BackfillInList(serializers.Serializer[Any]):
    """Runs of past moments, made a few at a time."""

    id = serializers.IntegerField()
    schedule = serializers.CharField(source="schedule_name")
    status = serializers.ChoiceField(choices=BACKFILL_STATUSES)
    reason = serializers.CharField(help_text="Why it is stopped.")
    # `from` is a word of Python.
    locals()["from"] = Moment(source="from_at")
    to = Moment(source="to_at")
    newest_first = serializers.BooleanField()
    max_active = serializers.IntegerField(help_text="So many of its runs live at once.")
    only = serializers.ChoiceField(choices=Backfill.Only.values)
    total = serializers.IntegerField(help_text="Its moments, when it was started.")
    made = serializers.IntegerField(help_text="Runs that it made or retried.")
    passed = serializers.IntegerField(help_text="Moments that needed none.")
    made_by = serializers.CharField()
    created_at = Moment()
    finished_at = Moment(allow_null=True)


class BackfillInDetail(BackfillInList):
    """A backfill with the counts of its runs."""

    completed = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Failed or cancelled.")
    living = serializers.IntegerField(help_text="Yet to end.")
    refused = serializers.IntegerField(help_text="Their job could not be made.")
    is_seen_to = serializers.BooleanField(
        help_text="Whether a scheduler looked at it in the last seconds."
    )


class BackfillPage(serializers.Serializer[Any]):
    """The newest backfills of a schedule."""

    results = BackfillInList(many=True)


class BackfillPlan(serializers.Serializer[Any]):
    """What a backfill would do: the answer to a dry run."""

    total = serializers.IntegerField(help_text="Its moments.")
    to_make = serializers.IntegerField()
    counts = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="missing, living, failed and completed moments.",
    )
    first = serializers.DictField(
        child=serializers.ListField(child=Moment()), help_text="Some of each."
    )


class PauseRequest(serializers.Serializer[Any]):
    """Why a schedule is paused."""

    note = serializers.CharField(required=False, max_length=MAX_NOTE)


class RunRequest(serializers.Serializer[Any]):
    """What a run of now is to be given."""

    params = serializers.DictField(required=False, help_text="In the place of the schedule's own.")


class BackfillRequest(serializers.Serializer[Any]):
    """Which past moments are to be made."""

    locals()["from"] = serializers.CharField(
        help_text="The first moment, 2026-11-01T08:00:00Z; a day alone, or a moment without zone, "
        "is one of the schedule's zone."
    )
    to = serializers.CharField(help_text="The last; a day is included, today ends now.")
    newest_first = serializers.BooleanField(required=False, default=False)
    max_active = serializers.IntegerField(
        required=False, default=2, min_value=1, max_value=backfill.MAX_ACTIVE
    )
    only = serializers.ChoiceField(
        choices=Backfill.Only.values, required=False, default=Backfill.Only.MISSING.value
    )
    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Only say what would be made (200)."
    )
