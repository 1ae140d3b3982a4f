"""A due schedule's one deed: a run row and its job, in one transaction, once for each moment."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.db.models.expressions import RawSQL

from jobs import conf, json_values, registry
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import DispatchError
from jobs.models import JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import cron
from jobs.schedules.rules import rule_of

logger = logging.getLogger("jobs.schedules")

DISPATCHED = "dispatched"
REFUSED = "refused"  # the job could not be made; the run's error says why


def due() -> list[str]:
    """Return the names of the schedules whose next tick has come, the most overdue first."""
    return list(
        Schedule.objects.filter(enabled=True, next_at__lte=RawSQL(clock.WALL, ()))
        .order_by("next_at", "name")
        .values_list("name", flat=True)
    )


def seconds_to_next() -> float | None:
    """Return how long it is until a schedule is due, below zero if one is; None if none ever is."""
    found: float | None = (
        Schedule.objects.filter(enabled=True)
        .order_by(F("next_at").asc(nulls_last=True))
        .values_list(
            RawSQL(f"extract(epoch FROM next_at - {clock.WALL})::float8", ()),
            flat=True,
        )
        .first()
    )
    return found


def run(name: str) -> ScheduleRun | None:
    """Make the tick that is due: its run row and its job. Opens its own transaction.

    Of several missed ticks only the newest is made. Why a job can't be made is kept on the run.

    Returns:
        The run; None where another scheduler got there first.
    """
    with transaction.atomic():
        schedule = _claimed(name)
        if schedule is None:
            return None
        run_row = _advance(schedule)
        if run_row is None:
            return None
        try:
            with transaction.atomic():
                job = _dispatch(schedule, run_row.logical_time)
        except DispatchError as error:
            _refuse(run_row, str(error))
        else:
            _record(run_row, job)
    return run_row


def refuse(name: str, error: Exception) -> ScheduleRun | None:
    """Record that the tick that is due failed in an unforeseen way, and go on to the next.

    Opens its own transaction. The run keeps the traceback, without the values of redacted params.
    """
    with transaction.atomic():
        schedule = _claimed(name)
        if schedule is None:
            return None
        run_row = _advance(schedule)
        if run_row is not None:
            secrets = registry.secrets(schedule.job_class, schedule.params)
            text = "".join(traceback.format_exception(error))
            _refuse(run_row, json_values.scrubbed(text, secrets))
    return run_row


def _claimed(name: str) -> Schedule | None:
    # A second scheduler that is at this tick now holds the row: skip it, the tick is being made.
    # One that has made it has moved next_at: no row matches.
    return (
        Schedule.objects.select_for_update(skip_locked=True)
        .filter(name=name, enabled=True, next_at__lte=RawSQL(clock.WALL, ()))
        .first()
    )


def _advance(schedule: Schedule) -> ScheduleRun | None:
    """Insert the run of the newest moment that is due; move the schedule to the one after now."""
    now = clock.read()
    rule = rule_of(schedule)
    first = schedule.next_at
    assert first is not None  # noqa: S101 - `_claimed` asked for it
    logical_time = cron.latest(rule, since=first, until=now) or first
    schedule.next_at = cron.next_after(rule, now)
    schedule.save(update_fields=["next_at"])
    return _inserted(schedule.name, logical_time)


def _inserted(name: str, logical_time: datetime) -> ScheduleRun | None:
    """Insert the run row, or return None where this moment has one (job_schedule_runs_once)."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO job_schedule_runs
                (schedule_name, logical_time, outcome, reason, kind, made_by, kept_status,
                created_at)
            VALUES (%s, %s, %s, '', 'tick', '', '', {clock.NOW})
            ON CONFLICT (schedule_name, logical_time) DO NOTHING
            RETURNING id
            """,
            [name, logical_time, DISPATCHED],
        )
        row = cursor.fetchone()
    return ScheduleRun.objects.get(pk=row[0]) if row else None


def _dispatch(schedule: Schedule, logical_time: datetime) -> JobStatus:
    return create.dispatch(
        [
            Request(
                spec=registry.get(schedule.job_class),
                params=schedule.params,
                queue=schedule.queue or None,
                schedule=schedule.name,
                logical_time=logical_time,
            )
        ]
    )[0]


def _record(run_row: ScheduleRun, job: JobStatus) -> None:
    run_row.job = job
    run_row.save(update_fields=["job"])
    logger.info(
        "Schedule %s: dispatched job %s for %s",
        run_row.schedule_name,
        job.id,
        run_row.logical_time.isoformat(),
        extra={"job_id": str(job.id), "job_class": job.job_class, "queue": job.queue},
    )


def _refuse(run_row: ScheduleRun, error: str) -> None:
    run_row.outcome = REFUSED
    run_row.reason = json_values.cleaned(error, limit_bytes=conf.current().max_error_bytes)
    run_row.save(update_fields=["outcome", "reason"])
    logger.error(
        "Schedule %s: the tick of %s made no job: %s",
        run_row.schedule_name,
        run_row.logical_time.isoformat(),
        run_row.reason,
    )
