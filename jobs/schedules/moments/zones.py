"""When a zone's clocks change: what `zoneinfo` knows, as moments and offsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

# No two changes of any zone since 1970 lie closer than six days: between two probes is one at most.
_PROBE = timedelta(days=3)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A moment from which a zone's clocks show another distance from UTC than until then.

    Also stands for the turn of a year, where both distances are the same.
    """

    at: datetime  # in UTC
    before: timedelta  # what the clocks show less UTC, until then
    after: timedelta  # and from then on

    @property
    def ends(self) -> datetime:
        """What the clocks would have shown at that moment, without zone; they never got there."""
        return self.at.replace(tzinfo=None) + self.before

    @property
    def begins(self) -> datetime:
        """What the clocks showed instead, without zone."""
        return self.at.replace(tzinfo=None) + self.after


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the zone of this name.

    Raises:
        LookupError, ValueError, OSError: There is none.
    """
    return ZoneInfo(name)


def find(name: Any) -> ZoneInfo | None:
    """Return the zone of this name; None where there is none, whatever `name` is."""
    try:
        return zone(name)
    except (LookupError, ValueError, OSError, TypeError):
        return None


def offset(name: str, moment: datetime) -> timedelta:
    """Return what the zone's clocks show less UTC at a moment, which is in UTC."""
    return moment.astimezone(zone(name)).utcoffset() or timedelta(0)


def changes_after(name: str, moment: datetime) -> Iterator[Change]:
    """Yield the zone's changes later than a moment, in order, and the turn of each year."""
    year = moment.year
    while True:
        yield from (change for change in _changes(name, year) if change.at > moment)
        turn = datetime(year + 1, 1, 1, tzinfo=UTC)
        there = offset(name, turn)
        yield Change(at=turn, before=there, after=there)
        year += 1


def last_change(name: str, moment: datetime) -> Change | None:
    """Return the zone's newest change up to a moment, if one was in its year or the year before."""
    found = _changes(name, moment.year - 1) + _changes(name, moment.year)
    return next((change for change in reversed(found) if change.at <= moment), None)


@lru_cache(maxsize=4096)
def _changes(name: str, year: int) -> tuple[Change, ...]:
    probe, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    found = []
    while probe < end:
        following = min(probe + _PROBE, end)
        before, after = offset(name, probe), offset(name, following)
        if before != after:
            at = _first_with(name, after, probe, following)
            found.append(Change(at=at, before=before, after=after))
        probe = following
    return tuple(found)


def _first_with(name: str, wanted: timedelta, low: datetime, high: datetime) -> datetime:
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if offset(name, middle) == wanted:
            high = middle
        else:
            low = middle
    return high
