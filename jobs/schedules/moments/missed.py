"""What becomes of the moments that are due: which are made, which are skipped, and why; pure.

A moment is on time for ten seconds; an older one is missed, and the schedule's catch-up decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice

from jobs.schedules.moments import cron, spans
from jobs.schedules.moments.cron import Rule

ON_TIME = timedelta(seconds=10)
NONE, LAST = "none", "last"

MAX_MOMENTS = 500  # of one plan
# So many skipped moments of one gap have a row each; those before them have one together.
MAX_SKIPPED = 10_000
_MAX_COUNTED = 20_000

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_FIELDS_WITH_SECONDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A schedule that is due, as it is found."""

    rule: Rule
    first: datetime  # the oldest moment that nobody has handled, in the past
    now: datetime
    catch_up: str = LAST
    pause: str = ""  # why nothing is made at all, or nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One moment, and what becomes of it."""

    moment: datetime
    reason: str = ""  # why it is skipped; empty: it is made
    is_late: bool = False  # made because it lies in the catch-up window: in order, one by one

    @property
    def is_made(self) -> bool:
        """Whether it gets a job."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write down now, and from where to go on."""

    moments: tuple[Handled, ...]  # ascending, at least one
    next_at: datetime | None  # due already where there are more; None: the rule has ended


def plan(due: Due, *, limit: int = MAX_MOMENTS) -> Plan:
    """Return what becomes of the oldest moments that are due, `limit` at most.

    Each moment is in one plan: the next one begins where this one ends, whoever makes it and
    however much later that is.
    """
    following = cron.next_after(due.rule, due.first)
    if following is None or following > due.now:  # nearly always
        newest = due.first
        return Plan(moments=(_handled(due, due.first, newest),), next_at=following)
    newest = cron.latest(due.rule, since=due.first, until=due.now) or due.first
    start, summed = due.first, []
    kept_from = _kept_from(due)
    if kept_from is not None:
        summed, start = [_sum(due, kept_from)], kept_from
    later = cron.moments(due.rule, after=start, until=due.now)
    moments = list(islice(chain([start], later), limit + 1))
    rest = moments[limit] if len(moments) > limit else cron.next_after(due.rule, due.now)
    handled = (_handled(due, moment, newest) for moment in moments[:limit])
    return Plan(moments=(*summed, *handled), next_at=rest)


def _handled(due: Due, moment: datetime, newest: datetime) -> Handled:
    if due.pause:
        return Handled(moment=moment, reason=due.pause)
    if moment >= due.now - ON_TIME:
        return Handled(moment=moment)
    why = _why_not(due, moment, newest)
    if why:
        return Handled(moment=moment, reason=f"{_late(due, moment)}; catch_up is {why}")
    return Handled(moment=moment, is_late=due.catch_up != LAST)


def _why_not(due: Due, moment: datetime, newest: datetime) -> str:
    match due.catch_up:
        case "none":
            return NONE
        case "last":
            return "" if moment == newest else f"{LAST}, and a newer moment has come"
        case span:
            return "" if moment >= due.now - spans.read(span) else span


def _late(due: Due, moment: datetime) -> str:
    late = timedelta(seconds=(due.now - moment) // _SECOND)
    return f"missed: nobody made it in time, it was found {spans.written(late)} later"


def _kept_from(due: Due) -> datetime | None:
    """Return the oldest of the MAX_SKIPPED newest moments that are skipped; None: all are kept."""
    until = _skipped_until(due)
    step = _shortest_step(due.rule)
    span = MAX_SKIPPED * step
    while until - span > due.first:
        found = _between(due.rule, until - span, until)
        if len(found) >= MAX_SKIPPED:
            return found[-MAX_SKIPPED]
        span *= min(64, max(2, MAX_SKIPPED // max(1, len(found)) + 1))
    if until - due.first <= MAX_SKIPPED * step:
        return None
    found = _between(due.rule, due.first, until)
    return found[-MAX_SKIPPED] if len(found) > MAX_SKIPPED else None


def _skipped_until(due: Due) -> datetime:
    if due.pause:
        return due.now
    if due.catch_up in {NONE, LAST}:
        return due.now - ON_TIME
    return due.now - max(ON_TIME, spans.read(due.catch_up))


def _shortest_step(rule: Rule) -> timedelta:
    if rule.every is not None:
        return rule.every
    has_seconds = any(len(line.split()) == _FIELDS_WITH_SECONDS for line in rule.crons)
    return _SECOND if has_seconds else _MINUTE


def _between(rule: Rule, after: datetime, until: datetime) -> list[datetime]:
    return list(cron.moments(rule, after=after, until=until - spans.MICROSECOND))


def _sum(due: Due, kept_from: datetime) -> Handled:
    """Return the one row that stands for all moments before `kept_from`."""
    why = due.pause or f"{_late(due, due.first)}; catch_up is {due.catch_up}"
    together = f"this row stands for {_count(due, kept_from)} moments, those before {kept_from}"
    return Handled(moment=due.first, reason=f"{why}; {together}")


def _count(due: Due, until: datetime) -> str:
    if due.rule.every is not None:
        return f"{1 + (until - spans.MICROSECOND - due.first) // due.rule.every:,}"
    counted = islice(_others(due, until), _MAX_COUNTED)
    number = 1 + sum(1 for _ in counted)
    return f"{number:,}" if number <= _MAX_COUNTED else f"more than {_MAX_COUNTED:,}"


def _others(due: Due, until: datetime) -> Iterator[datetime]:
    return cron.moments(due.rule, after=due.first, until=until - spans.MICROSECOND)
