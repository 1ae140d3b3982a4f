"""What people do with backfills, the runs of past moments: plan, start, stop, continue."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import IntegrityError, transaction
from django.db.models.expressions import RawSQL

from jobs.errors import InvalidBackfill, UnknownBackfill, UnknownSchedule, WrongBackfillStatus
from jobs.models import Backfill, Schedule, clock
from jobs.schedules import history, standings
from jobs.schedules.history import Hand
from jobs.schedules.moments import cron, spans, walk
from jobs.schedules.moments.cron import Rule
from jobs.schedules.rules import rule_of
from jobs.schedules.standings import Standing

logger = logging.getLogger("jobs.schedules")

MAX_MOMENTS = 50_000
MAX_ACTIVE = 1_000
_LOOKED_AT_ONCE = 1_000
_MAX_BY = 150

Only = Backfill.Only

STANDINGS_BY_ONLY: Mapping[Only, frozenset[Standing]] = {
    Only.MISSING: frozenset({Standing.MISSING}),
    Only.FAILED: frozenset({Standing.FAILED}),
    Only.ALL: frozenset({Standing.MISSING, Standing.FAILED, Standing.COMPLETED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants made: the moments of a schedule from one to another, both included."""

    schedule_name: str
    from_at: datetime
    to_at: datetime
    newest_first: bool = False
    max_active: int = 2  # so many of its runs live at once
    only: Only = Only.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a backfill would do, if it were started now."""

    total: int  # moments
    to_make: int  # of these, as `only` says
    counts: Mapping[Standing, int]
    first: Mapping[Standing, list[datetime]]  # some of each, in the backfill's order


def start(wanted: Wanted, *, by: str) -> Backfill:
    """Have rqscheduler make what is wanted, a few at a time. Opens its own transaction.

    Args:
        wanted: Which moments, and how many at once.
        by: Who asks; kept on the backfill and on its runs.

    Raises:
        UnknownSchedule: There is no such schedule.
        InvalidBackfill: No moment is wanted, too many are, or some that are yet to come.
        WrongBackfillStatus: A backfill of this schedule is running.
    """
    total = _counted(wanted, _rule(wanted))
    try:
        with transaction.atomic():
            backfill = Backfill.objects.create(
                schedule_name=wanted.schedule_name,
                from_at=wanted.from_at,
                to_at=wanted.to_at,
                newest_first=wanted.newest_first,
                max_active=wanted.max_active,
                only=wanted.only,
                total=total,
                made_by=by[:_MAX_BY],
                created_at=RawSQL(clock.NOW, ()),
            )
            _remember(backfill, "backfilled", by)
    except IntegrityError as error:
        raise _runs_already(wanted.schedule_name) from error
    backfill.refresh_from_db()
    logger.info("Backfill %d of schedule %s: started by %s", backfill.id, backfill, by)
    return backfill


def plan(wanted: Wanted, *, shown: int = 5) -> Plan:
    """Return what a backfill would do; make nothing.

    Args:
        wanted: As `start` takes it.
        shown: How many moments of each standing to name.

    Raises:
        UnknownSchedule: As `start`.
        InvalidBackfill: As `start`.
    """
    rule = _rule(wanted)
    total = _counted(wanted, rule)
    counts = dict.fromkeys(Standing, 0)
    first: dict[Standing, list[datetime]] = {standing: [] for standing in Standing}
    for moment, standing in _stood(wanted, rule):
        counts[standing] += 1
        if len(first[standing]) < shown:
            first[standing].append(moment)
    to_make = sum(counts[standing] for standing in STANDINGS_BY_ONLY[wanted.only])
    return Plan(total=total, to_make=to_make, counts=counts, first=first)


def stop(backfill_id: int, *, by: str) -> Backfill:
    """Have it make no further runs; those that are made go on. running -> stopped.

    Opens its own transaction.

    Raises:
        UnknownBackfill: There is no such backfill.
        WrongBackfillStatus: It isn't running.
    """
    with transaction.atomic():
        backfill = _locked(backfill_id, Backfill.Status.RUNNING)
        backfill.status, backfill.reason = Backfill.Status.STOPPED, f"stopped by {by}"[:500]
        backfill.save(update_fields=["status", "reason"])
        _remember(backfill, "backfill stopped", by)
    logger.info("Backfill %d of schedule %s: stopped by %s", backfill.id, backfill, by)
    return backfill


def resume(backfill_id: int, *, by: str) -> Backfill:
    """Have it go on where it stopped. stopped -> running. Opens its own transaction.

    Raises:
        UnknownBackfill: There is no such backfill.
        WrongBackfillStatus: It isn't stopped, or another one of its schedule is running.
    """
    try:
        with transaction.atomic():
            backfill = _locked(backfill_id, Backfill.Status.STOPPED)
            backfill.status, backfill.reason = Backfill.Status.RUNNING, ""
            backfill.looked_at = clock.read()  # from now on somebody has to see to it
            backfill.save(update_fields=["status", "reason", "looked_at"])
            _remember(backfill, "backfill continued", by)
    except IntegrityError as error:
        raise _runs_already(backfill.schedule_name) from error
    logger.info("Backfill %d of schedule %s: continued by %s", backfill.id, backfill, by)
    return backfill


def moments_ahead(
    rule: Rule, wanted: Wanted | Backfill, *, cursor: datetime | None = None
) -> Iterator[datetime]:
    """Yield the moments of a backfill that come after `cursor`, in its order, lazily."""
    since, until = wanted.from_at, wanted.to_at
    if wanted.newest_first:
        until = until if cursor is None else cursor - spans.MICROSECOND
        return walk.newest_first(rule, since=since, until=until)
    since = since if cursor is None else cursor + spans.MICROSECOND
    return walk.moments(rule, since=since, until=until)


def _rule(wanted: Wanted) -> Rule:
    """Return the schedule's rule, by which this can be made as far as one can see at once."""
    if not 1 <= wanted.max_active <= MAX_ACTIVE:
        raise InvalidBackfill(f"max_active must be from 1 to {MAX_ACTIVE:,}.")
    if wanted.from_at > wanted.to_at:
        raise InvalidBackfill("It ends before it begins: from must not be later than to.")
    if wanted.to_at > clock.read():
        raise InvalidBackfill(
            f"{wanted.to_at.isoformat()} is yet to come: a backfill makes past moments, the "
            "others are the schedule's own."
        )
    schedule = Schedule.objects.filter(name=wanted.schedule_name).first()
    if schedule is None:
        raise UnknownSchedule(wanted.schedule_name)
    rule = rule_of(schedule)
    if fault := cron.fault(rule):
        raise InvalidBackfill(f"The rule of {schedule.name} can't be read: {fault}.")
    return rule


def _counted(wanted: Wanted, rule: Rule) -> int:
    total = sum(1 for _ in islice(moments_ahead(rule, wanted), MAX_MOMENTS + 1))
    span = f"from {wanted.from_at.isoformat()} to {wanted.to_at.isoformat()}"
    if not total:
        raise InvalidBackfill(f"{wanted.schedule_name} has no moment {span}.")
    if total > MAX_MOMENTS:
        raise InvalidBackfill(
            f"{wanted.schedule_name} has more than {MAX_MOMENTS:,} moments {span}: ask for a "
            "shorter time."
        )
    return total


def _stood(wanted: Wanted, rule: Rule) -> Iterator[tuple[datetime, Standing]]:
    walked = moments_ahead(rule, wanted)
    while some := list(islice(walked, _LOOKED_AT_ONCE)):
        found = standings.of(wanted.schedule_name, some)
        for moment in some:
            yield moment, found[moment].standing if moment in found else Standing.MISSING


def _locked(backfill_id: int, status: Backfill.Status) -> Backfill:
    backfill = Backfill.objects.select_for_update().filter(pk=backfill_id).first()
    if backfill is None:
        raise UnknownBackfill(backfill_id)
    if backfill.status != status:
        raise WrongBackfillStatus(f"Backfill {backfill_id} is {backfill.status}, not {status}.")
    return backfill


def _runs_already(schedule_name: str) -> WrongBackfillStatus:
    running = Backfill.objects.filter(
        schedule_name=schedule_name, status=Backfill.Status.RUNNING
    ).first()
    which = "A backfill" if running is None else f"Backfill {running.pk}"
    return WrongBackfillStatus(
        f"{which} of {schedule_name} is running: wait for its end, or stop it."
    )


def _remember(backfill: Backfill, verb: str, by: str) -> None:
    span = f"{backfill.from_at.isoformat()} to {backfill.to_at.isoformat()}, {backfill.only}"
    hand = Hand(by=by, at=clock.read(), note=f"backfill {backfill.pk}: {span}")
    history.record(backfill.schedule_name, verb, hand)
