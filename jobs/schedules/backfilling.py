"""Backfills go on: the next runs of each are made as its earlier ones end."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice

from django.db import transaction
from django.db.models import F
from django.db.models.expressions import RawSQL

from jobs import json_values
from jobs.lifecycle import control
from jobs.models import Backfill, JobStatus, Schedule, ScheduleRun, clock, locking
from jobs.schedules import making, requests, standings, strange
from jobs.schedules.backfill import STANDINGS_BY_ONLY, moments_ahead
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of
from jobs.schedules.standings import Moment, Standing
from jobs.statuses import Status
from jobs.values import value

logger = logging.getLogger("jobs.schedules")

LOOKED_AT_ONCE = 200  # moments in one transaction
# Jobs of one transaction, and those of one moment more: a workflow may have a thousand.
MAX_JOBS = 2_000
# Then the ticks have their turn: a backfill whose moments all need nothing may be long.
_TURN_SECONDS = 0.2


def running() -> list[int]:
    """Return the ids of the backfills that are to go on, first those not seen to for longest."""
    found = Backfill.objects.filter(status=Backfill.Status.RUNNING)
    ordered = found.order_by(F("looked_at").asc(nulls_first=True), "id")
    return list(ordered.values_list("id", flat=True))


def advance(backfill_id: int) -> None:
    """Make the runs for which there is room now; end the backfill with its last job.

    Opens its own transactions, each repeated when it is a deadlock's victim: the runs, their jobs
    and how far the backfill came are one commit. A backfill that another scheduler is at now is
    left to it, so together they make no more than `max_active`.
    """
    deadline = time.monotonic() + _TURN_SECONDS
    while locking.repeat_on_conflict(partial(_step, backfill_id)):
        if time.monotonic() > deadline:
            return


def fail(backfill_id: int, error: Exception) -> None:
    """Stop a backfill that can't go on, for a reason that nobody foresaw. Opens its transaction.

    The log has the traceback, without the values of redacted params, as the row's reason is.
    """
    with transaction.atomic():
        backfill = _claimed(backfill_id)
        if backfill is None:
            return
        schedule = Schedule.objects.filter(name=backfill.schedule_name).first()
        secrets = [] if schedule is None else requests.secrets(schedule)
        story = "".join(traceback.format_exception(error))
        logger.error("Backfill %d: %s", backfill_id, json_values.scrubbed(story, secrets))
        _stop(backfill, json_values.scrubbed(f"{type(error).__name__}: {error}", secrets))


def _step(backfill_id: int) -> bool:
    """Look at the next moments and make what is wanted of them; return whether to go on at once."""
    with transaction.atomic():
        backfill = _claimed(backfill_id)
        if backfill is None:
            return False
        schedule = Schedule.objects.filter(name=backfill.schedule_name).first()
        if schedule is None or (fault := cron.fault(rule_of(schedule))):
            _stop(backfill, "its schedule is gone" if schedule is None else fault)
            return False
        if jobs := strange.unknown(schedule):
            _leave(backfill, jobs)
            return False
        goes_on = _go_on(backfill, schedule)
        backfill.looked_at = RawSQL(clock.NOW, ())
        backfill.save()
    return goes_on


def _claimed(backfill_id: int) -> Backfill | None:
    # A second scheduler finds the row held, and passes on; once it is free, what the first one made
    # is there to be counted.
    return (
        Backfill.objects.select_for_update(skip_locked=True)
        .filter(pk=backfill_id, status=Backfill.Status.RUNNING)
        .first()
    )


def _go_on(backfill: Backfill, schedule: Schedule) -> bool:
    living = standings.living(backfill.pk, backfill.schedule_name)
    room = backfill.max_active - living
    if room <= 0:
        return False
    coming = moments_ahead(rule_of(schedule), backfill, cursor=backfill.cursor)
    some = list(islice(coming, LOOKED_AT_ONCE))
    if not some:
        if not living:
            _complete(backfill)
        return False
    known = standings.of(backfill.schedule_name, some)
    return _walk(backfill, schedule, _Ahead(some=some, known=known), room)


@value
class _Ahead:
    """Moments that are looked at, and how it stands with those that have a run."""

    some: list[datetime]
    known: Mapping[datetime, Moment]


def _walk(backfill: Backfill, schedule: Schedule, ahead: _Ahead, room: int) -> bool:
    wanted = STANDINGS_BY_ONLY[Backfill.Only(backfill.only)]
    jobs = 0
    for at in ahead.some:
        if jobs >= MAX_JOBS:
            return True
        moment = ahead.known.get(at)
        if (Standing.MISSING if moment is None else moment.standing) not in wanted:
            backfill.passed += 1
        elif not room:
            return False
        else:
            made = _made(backfill, schedule, at, moment)
            if made is None:
                # Somebody else was there since we looked: look again.
                return False
            backfill.made += 1
            room -= made
            jobs += made * max(1, len(schedule.steps or ()))
        backfill.cursor = at
    return True


def _made(
    backfill: Backfill, schedule: Schedule, at: datetime, moment: Moment | None
) -> int | None:
    """Make or repeat the jobs of a moment. Return how many runs live by that; None for nothing."""
    if moment is not None and moment.jobs:
        return _repeated(backfill, schedule.name, at, moment)
    if moment is not None:
        # Its run made no job, or none that is there yet. The history keeps why, on the new run.
        ScheduleRun.objects.filter(pk=moment.run_id).delete()
    run = making.make(
        schedule,
        at,
        kind=ScheduleRun.Kind.BACKFILL,
        made_by=backfill.made_by,
        backfill=backfill,
    )
    if run is None:
        return None
    if run.outcome != ScheduleRun.Outcome.DISPATCHED:
        return 0
    if moment is not None and moment.outcome != ScheduleRun.Outcome.DISPATCHED:
        was = f"was {moment.outcome} before: {moment.reason}"
        ScheduleRun.objects.filter(pk=run.pk).update(reason=was)
    return 1


def _repeated(backfill: Backfill, name: str, at: datetime, moment: Moment) -> int | None:
    """Retry the jobs of a moment that failed, or run all again; never make others beside them.

    A workflow's each in its turn.
    """
    jobs = JobStatus.objects.filter(schedule=name, logical_time=at)
    if moment.standing == Standing.FAILED:
        jobs = jobs.filter(status__in=(Status.FAILED, Status.CANCELLED))
    by = f"backfill {backfill.pk} of {backfill.made_by}"
    # Jobs before runs, as the prune locks them.
    if not control.repeat(list(jobs.values_list("id", flat=True)), by=by).moved:
        return None
    ScheduleRun.objects.filter(pk=moment.run_id).update(
        kind=ScheduleRun.Kind.BACKFILL, made_by=backfill.made_by, backfill=backfill
    )
    return 1


def _leave(backfill: Backfill, jobs: Sequence[str]) -> None:
    """Leave it to those who know its job classes; where nobody sees to it any more, stop it."""
    seen_to_at = backfill.looked_at or backfill.created_at
    if clock.read() - seen_to_at > strange.PATIENCE:
        _stop(backfill, f"no scheduler knows its job class {', '.join(jobs)}")


def _complete(backfill: Backfill) -> None:
    backfill.status = Backfill.Status.COMPLETED
    backfill.finished_at = RawSQL(clock.NOW, ())
    logger.info("Backfill %d of schedule %s: completed", backfill.pk, backfill)


def _stop(backfill: Backfill, reason: str) -> None:
    backfill.status, backfill.reason = Backfill.Status.STOPPED, reason[:500]
    backfill.save(update_fields=["status", "reason"])
    logger.error("Backfill %d of schedule %s: stopped: %s", backfill.pk, backfill, reason)
