"""When a schedule is due: the moments of its cron lines, or of an interval.

A cron line names times of the local clock. Where the clocks change, three sentences hold:

1. Times that spring skips come once, all together, at the moment of the change; but a line that
   comes in every hour (its hours are `*`) skips them too.
2. Times that autumn repeats come once, the first time; but a line with `*` in its seconds, minutes
   or hours (`*/20` has one) follows the clock and comes both times.
3. Of several lines each follows its own rule; a moment that several name is one moment.

`*` here is also a list or range that names every minute or every hour. "Spring" is any change that
sets the clocks forward, by half an hour or a day, "autumn" any that sets them back.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from jobs.schedules import zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9900, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_LONGEST = timedelta(days=366 * 50)
_HOURS, _MINUTES = 24, 60
_HOW = "write minute hour day month weekday, such as '0 2 * * mon-fri', or six with seconds first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Cron lines read in a time zone, or an interval; and from when to when they hold.

    Every scheduler, and every start of one, reads the same moments from it.
    """

    crons: tuple[str, ...] = ()  # one or several lines, a moment of any is one; these, or every
    every: timedelta | None = None  # counted from start_at, else from 1970-01-01 UTC
    timezone: str = "UTC"  # whose clocks the lines name
    start_at: datetime | None = None  # no moment is earlier; this may be one
    end_at: datetime | None = None  # no moment is later; this may be one


def next_after(rule: Rule, moment: datetime) -> datetime | None:
    """Return the rule's first moment later than `moment`, in UTC, or None if none is in 50 years.

    Args:
        rule: A rule without fault.
        moment: An aware datetime.
    """
    return next(moments(rule, after=moment, until=_END), None)


def moments(rule: Rule, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the rule's moments later than `after` and up to `until`, in UTC, each once, in order.

    Nothing is computed ahead of what is asked for.
    """
    start = _EPOCH if rule.start_at is None else max(rule.start_at, _EPOCH)
    end = min(until, rule.end_at or _END, _END)
    after = max(after, start - _TICK).astimezone(UTC)
    if after >= end:
        return
    for moment in _endless(rule, after):
        if moment > end:
            return
        yield moment


def latest(rule: Rule, *, since: datetime, until: datetime) -> datetime | None:
    """Return the newest moment from `since` to `until`, both included; None if none is there.

    Cheap after a long absence too: it doesn't walk over the moments between.
    """
    low = next(moments(rule, after=since - _TICK, until=until), None)
    high = until
    # No moment lies between high and until; low is one.
    while low is not None and (following := _first(rule, low, until)):
        middle = low + (high - low) // 2
        beyond = _first(rule, middle, until)
        if beyond is None:
            high = middle
        low = beyond or following
    return low


def previous_before(rule: Rule, moment: datetime) -> datetime | None:
    """Return the rule's newest moment earlier than `moment`, in UTC, or None if there is none.

    None is earlier than start_at or 1970.
    """
    until, span = moment - _TICK, timedelta(minutes=2)
    earliest = _EPOCH if rule.start_at is None else max(rule.start_at, _EPOCH)
    while until >= earliest:
        found = latest(rule, since=max(until - span, earliest), until=until)
        if found is not None or until - span <= earliest:
            return found
        span = min(span * 8, until - earliest)
    return None


def fault(rule: Rule) -> str:
    """Return what is wrong with the rule and what to do about it, or an empty text."""
    if bool(rule.crons) == (rule.every is not None):
        return "needs either cron or every: give one of the two"
    return (
        _fault_of_zone(rule.timezone)
        or _fault_of_bounds(rule)
        or (_fault_of_every(rule.every) if rule.every is not None else "")
        or next(filter(None, map(_fault_of_line, rule.crons)), "")
        or _fault_of_none(rule)
    )


def _first(rule: Rule, after: datetime, until: datetime) -> datetime | None:
    return next(moments(rule, after=after, until=until), None)


def _endless(rule: Rule, after: datetime) -> Iterator[datetime]:
    if rule.every is not None:
        yield from _multiples(rule.every, rule.start_at or _EPOCH, after)
        return
    last = after
    lines = (_line_moments(_line(text), rule.timezone, after) for text in rule.crons)
    for moment in heapq.merge(*lines):
        if moment > last:
            last = moment
            yield moment


def _multiples(every: timedelta, anchor: datetime, after: datetime) -> Iterator[datetime]:
    moment = anchor.astimezone(UTC) + ((after - anchor) // every + 1) * every
    while True:
        yield moment
        moment += every


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One cron line."""

    sim: CronSim  # read, never moved
    comes_every_hour: bool
    repeats: bool  # where autumn does

    def after(self, shown: datetime) -> Iterator[datetime]:
        """Yield its times of the clock, later than what the clock shows; they have no zone."""
        sim = copy.copy(self.sim)
        sim.dt = shown.replace(microsecond=0)
        return sim


@lru_cache(maxsize=4096)
def _line(text: str) -> _Line:
    # Without a zone, cronsim knows of no change of clocks: those are dealt with here.
    sim = CronSim(text, datetime(1970, 1, 1))  # noqa: DTZ001 - what a clock shows
    comes_every_hour = len(sim.hours) == _HOURS
    has_star = any("*" in part for part in sim.parts[:3])
    return _Line(
        sim=sim,
        comes_every_hour=comes_every_hour,
        repeats=has_star or comes_every_hour or len(sim.minutes) == _MINUTES,
    )


def _line_moments(line: _Line, timezone: str, after: datetime) -> Iterator[datetime]:
    offset = zones.offset(timezone, after)
    times = line.after(_shown(line, timezone, after))
    time = next(times, None)
    for change in zones.changes_after(timezone, after):
        while time is not None and time < change.ends:
            yield (time - offset).replace(tzinfo=UTC)
            time = next(times, None)
        if time is None:
            return
        if change.ends <= time < change.begins and not line.comes_every_hour:
            yield change.at
        if time < change.begins or (change.begins < change.ends and line.repeats):
            times = line.after(change.begins - _SECOND)
            time = next(times, None)
        offset = change.after


def _shown(line: _Line, timezone: str, after: datetime) -> datetime:
    """Return the latest time of the clock that the line is through with at `after`."""
    shown = after.replace(tzinfo=None) + zones.offset(timezone, after)
    last = None if line.repeats else zones.last_change(timezone, after)
    return shown if last is None else max(shown, last.ends - _SECOND)


def _fault_of_zone(name: str) -> str:
    try:
        zones.zone(name)
    except (LookupError, ValueError, OSError):
        return f"{name!r} is no time zone: give a name such as 'Europe/Berlin' or 'UTC'"
    return ""


def _fault_of_bounds(rule: Rule) -> str:
    for name, moment in (("start_at", rule.start_at), ("end_at", rule.end_at)):
        if moment is not None and moment.utcoffset() is None:
            return f"{name} has no time zone: give an aware datetime"
    if rule.start_at and rule.end_at and rule.start_at > rule.end_at:
        return "end_at is earlier than start_at"
    return ""


def _fault_of_every(every: timedelta) -> str:
    if every < _SECOND:
        return "every must be at least one second"
    return "every must be at most 50 years" if every > _LONGEST else ""


def _fault_of_line(text: str) -> str:
    try:
        times = _line(text).after(datetime(1970, 1, 1))  # noqa: DTZ001 - what a clock shows
        ever = next(times, None)
    except (CronSimError, AssertionError, ValueError, OverflowError) as error:
        return f"{text!r} is no cron line ({error}): {_HOW}"
    return "" if ever else f"{text!r} never comes: there is no such day"


def _fault_of_none(rule: Rule) -> str:
    if next_after(rule, (rule.start_at or _EPOCH) - _TICK) is None:
        return "never comes between start_at and end_at: widen them"
    return ""
