"""When a schedule is due: the moments of its cron lines, or of an interval.

What happens where the clocks change is stated in `jobs/schedules/moments/lines.py`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.schedules.moments import lines, spans, zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9900, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_LOOKS_BACK = timedelta(minutes=2)
_LONGEST = timedelta(days=366 * 50)
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
    start, end = _bounds(rule)
    after = max(after.astimezone(UTC), start - spans.MICROSECOND)
    end = min(until.astimezone(UTC), end)
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
    high = until.astimezone(UTC)
    low = _first(rule, since.astimezone(UTC) - spans.MICROSECOND, high)
    # low is a moment, and none lies between high and until: halve what is between the two.
    while low is not None and (following := _first(rule, low, high)):
        middle = low + (high - low) // 2
        beyond = _first(rule, middle, high)
        if beyond is None:
            high = middle
        low = beyond or following
    return low


def previous_before(rule: Rule, moment: datetime) -> datetime | None:
    """Return the rule's newest moment earlier than `moment`, in UTC, or None if there is none.

    None is earlier than start_at, or 1970.
    """
    start, end = _bounds(rule)
    until, span = min(moment.astimezone(UTC) - spans.MICROSECOND, end), _LOOKS_BACK
    while until - span > start:
        found = latest(rule, since=until - span, until=until)
        if found is not None:
            return found
        span = min(span * 8, until - start)
    return latest(rule, since=start, until=until)


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


def _bounds(rule: Rule) -> tuple[datetime, datetime]:
    start = _EPOCH if rule.start_at is None else max(rule.start_at.astimezone(UTC), _EPOCH)
    return start, _END if rule.end_at is None else min(rule.end_at.astimezone(UTC), _END)


def _first(rule: Rule, after: datetime, until: datetime) -> datetime | None:
    return next(moments(rule, after=after, until=until), None)


def _endless(rule: Rule, after: datetime) -> Iterator[datetime]:
    if rule.every is not None:
        yield from _multiples(rule.every, rule.start_at or _EPOCH, after)
        return
    last = after
    of_each = (lines.moments(text, rule.timezone, after) for text in rule.crons)
    for moment in heapq.merge(*of_each):
        if moment > last:
            last = moment
            yield moment


def _multiples(every: timedelta, anchor: datetime, after: datetime) -> Iterator[datetime]:
    moment = anchor.astimezone(UTC) + ((after - anchor) // every + 1) * every
    while True:
        yield moment
        moment += every


def _fault_of_zone(name: str) -> str:
    if zones.find(name) is None:
        return f"{name!r:.120} is no time zone: give a name such as 'Europe/Berlin' or 'UTC'"
    return ""


def _fault_of_bounds(rule: Rule) -> str:
    for name, moment in (("start_at", rule.start_at), ("end_at", rule.end_at)):
        if moment is not None and moment.utcoffset() is None:
            return f"{name} has no time zone: give an aware datetime"
        if moment is not None and not 1 < moment.year < _END.year:
            return f"{name} is too far away: give a year from 2 to {_END.year - 1}"
    start, end = _bounds(rule)
    return "end_at is earlier than start_at, or than 1970" if end < start else ""


def _fault_of_every(every: timedelta) -> str:
    if every < _SECOND:
        return "every must be at least one second"
    return "every must be at most 50 years" if every > _LONGEST else ""


def _fault_of_line(text: str) -> str:
    unread = lines.unread(text)
    # What can be read once it comes in any month names a day that its own months don't have.
    in_any_month = text.split()
    in_any_month[-2:-1] = "*"
    if unread and lines.unread(" ".join(in_any_month)):
        return f"{text!r:.120} is no cron line ({unread}): {_HOW}"
    if unread or next(lines.moments(text, "UTC", _EPOCH), None) is None:
        return f"{text!r:.120} never comes: no date fits it; correct its day, month or weekday"
    return ""


def _fault_of_none(rule: Rule) -> str:
    if next_after(rule, (rule.start_at or _EPOCH) - spans.MICROSECOND) is None:
        return "never comes between start_at and end_at: widen them"
    return ""
