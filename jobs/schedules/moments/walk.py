"""The moments of a stretch of time, from either end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.schedules.moments import cron
from jobs.schedules.moments.cron import Rule
from jobs.schedules.moments.spans import MICROSECOND

_FIRST_WINDOW = timedelta(hours=1)
# Of the windows that are read from the newest end: more moments make the next one shorter.
_FEW, _MANY, _FACTOR = 8, 500, 4


def moments(rule: Rule, *, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the rule's moments from `since` to `until`, both included, oldest first."""
    return cron.moments(rule, after=since - MICROSECOND, until=until)


def newest_first(rule: Rule, *, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the same, newest first.

    Read in windows: what is ahead of a window is not computed until it is asked for.
    """
    window = _FIRST_WINDOW
    while until >= since:
        low = max(since, until - window)
        found = list(moments(rule, since=low, until=until))
        yield from reversed(found)
        until = low - MICROSECOND
        if len(found) < _FEW:
            window *= _FACTOR
        elif len(found) > _MANY:
            window /= _FACTOR
