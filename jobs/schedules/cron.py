"""When a schedule is due: the moments of a cron expression or an interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How far back `latest` looks, step by step, before it reads the whole span from the start.
_LOOKS_BACK = (timedelta(minutes=2), timedelta(hours=2), timedelta(days=2), timedelta(days=62))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cron expression read in a time zone, or an interval counted from 1970-01-01 UTC.

    Counting an interval from a fixed moment gives every scheduler, and every start of one, the same
    moments.
    """

    cron: str = ""  # five fields, or six with seconds first; this, or every
    every: timedelta | None = None
    timezone: str = "UTC"


def next_after(rule: Rule, moment: datetime) -> datetime | None:
    """Return the rule's first moment later than `moment`, in UTC, or None if none is in 50 years.

    A fixed time of day that the spring change skips comes at the change's end; one that autumn
    repeats comes the first time only. An expression with `*` in its minutes or hours follows real
    time.

    Args:
        rule: A rule without fault.
        moment: An aware datetime.
    """
    return next(_moments(rule, moment), None)


def latest(rule: Rule, *, since: datetime, until: datetime) -> datetime | None:
    """Return the newest moment from `since` to `until`, both included; None if none is there.

    Cheap after a long absence too: it looks back from `until` in growing spans.
    """
    start = since - timedelta(microseconds=1)
    for span in _LOOKS_BACK:
        if until - span <= start:
            break
        found = _last_between(rule, until - span, until)
        if found is not None:
            return found
    return _last_between(rule, start, until)


def fault(rule: Rule) -> str:
    """Return what is wrong with the rule, or an empty text."""
    if bool(rule.cron) == (rule.every is not None):
        return "needs either cron or every"
    if rule.every is not None:
        return "" if rule.every >= timedelta(seconds=1) else "every must be at least one second"
    try:
        zone = ZoneInfo(rule.timezone)
    except (LookupError, ValueError, OSError):
        return f"{rule.timezone!r} is no time zone"
    try:
        ever = next(CronSim(rule.cron, _EPOCH.astimezone(zone)), None)
    except (CronSimError, AssertionError, ValueError, OverflowError) as error:
        return f"{rule.cron!r} is no cron expression: {error}"
    return "" if ever else f"{rule.cron!r} never comes"


def _last_between(rule: Rule, after: datetime, until: datetime) -> datetime | None:
    found = None
    for moment in _moments(rule, after):
        if moment > until:
            break
        found = moment
    return found


def _moments(rule: Rule, after: datetime) -> Iterator[datetime]:
    if rule.every is not None:
        yield from _multiples(rule.every, after)
        return
    last = after
    for local in CronSim(rule.cron, after.astimezone(ZoneInfo(rule.timezone))):
        moment = local.astimezone(UTC)
        # Begun in the repeated hour, cronsim names a moment of its first run; and around the
        # skipped hour it may name one moment twice.
        if moment > last:
            last = moment
            yield moment


def _multiples(every: timedelta, after: datetime) -> Iterator[datetime]:
    count = (after - _EPOCH) // every
    while True:
        count += 1
        yield _EPOCH + count * every
