"""A due schedule's one deed: a run row and its job, in one transaction, once for each moment."""

from __future__ import annotations

import traceback
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.expressions import RawSQL

from jobs import json_values, registry
from jobs.models import Schedule, ScheduleRun, clock
from jobs.schedules import cron, making
from jobs.schedules.making import Wish
from jobs.schedules.rules import rule_of


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
        wish = Wish(schedule=schedule, logical_time=_advance(schedule))
        return making.make_many([wish])[0]


def refuse(name: str, error: Exception) -> ScheduleRun | None:
    """Record that the tick that is due failed in an unforeseen way, and go on to the next.

    Opens its own transaction. The run keeps the traceback, without the values of redacted params.
    """
    with transaction.atomic():
        schedule = _claimed(name)
        if schedule is None:
            return None
        wish = Wish(schedule=schedule, logical_time=_advance(schedule))
        secrets = registry.secrets(schedule.job_class, schedule.params)
        text = json_values.scrubbed("".join(traceback.format_exception(error)), secrets)
        return making.make_many([making.refused(wish, text)])[0]


def _claimed(name: str) -> Schedule | None:
    # A second scheduler that is at this tick now holds the row: skip it, the tick is being made.
    # One that has made it has moved next_at: no row matches.
    return (
        Schedule.objects.select_for_update(skip_locked=True)
        .filter(name=name, enabled=True, next_at__lte=RawSQL(clock.WALL, ()))
        .first()
    )


def _advance(schedule: Schedule) -> datetime:
    """Move the schedule to the moment after now; return the newest moment that is due."""
    now = clock.read()
    rule = rule_of(schedule)
    first = schedule.next_at
    assert first is not None  # noqa: S101 - `_claimed` asked for it
    schedule.next_at = cron.next_after(rule, now)
    schedule.save(update_fields=["next_at"])
    return cron.latest(rule, since=first, until=now) or first


def settle(schedule: Schedule) -> None:
    """Handle all that is due of `schedule` by now, as it stands. Call inside a transaction.

    For whoever changes its rule: what was due under the old one is not lost.

    Args:
        schedule: A row that the caller has locked; its next_at moves on.
    """
    while schedule.enabled and schedule.next_at and schedule.next_at <= clock.read():
        moment = _advance(schedule)
        made, skipped = ScheduleRun.Outcome.DISPATCHED, ScheduleRun.Outcome.SKIPPED
        wish = Wish(
            schedule=schedule,
            logical_time=moment,
            outcome=skipped if schedule.is_paused else made,
            reason=f"paused: {schedule.pause_note}" if schedule.is_paused else "",
        )
        making.make_many([wish])
