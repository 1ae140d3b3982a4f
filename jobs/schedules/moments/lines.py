"""The moments of one cron line in a zone, over the changes of its clocks.

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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from jobs.schedules.moments import zones

_CLOCK = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock shows has no zone
_SECOND = timedelta(seconds=1)
_HOURS, _MINUTES = 24, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One cron line, read."""

    sim: CronSim  # read, never moved
    comes_every_hour: bool
    repeats: bool  # where autumn does

    def after(self, shown: datetime) -> Iterator[datetime]:
        """Yield its times of the clock, later than what the clock shows; they have no zone."""
        sim = copy.copy(self.sim)  # reading the line anew would take as long as finding its times
        sim.dt = shown.replace(microsecond=0)
        return sim


def moments(text: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the moments of a cron line, read in a zone, that are later than `after`, in order.

    A moment may be named twice at a change of clocks.

    Args:
        text: A line that can be read.
        timezone: The name of a zone.
        after: In UTC.
    """
    line = _read(text)
    offset = zones.offset(timezone, after)
    times = line.after(_shown(line, timezone, after))
    time = next(times, None)
    for change in zones.changes_after(timezone, after):
        while time is not None and time < change.ends:
            yield (time - offset).replace(tzinfo=UTC)
            time = next(times, None)
        if time is None:
            return
        if time < change.begins and not line.comes_every_hour:
            yield change.at
        if time < change.begins or (change.begins < change.ends and line.repeats):
            times = line.after(change.begins - _SECOND)
            time = next(times, None)
        offset = change.after


def unread(text: str) -> str:
    """Return why a line can't be read, or an empty text."""
    try:
        _read(text)
    except (CronSimError, AssertionError, ValueError) as error:
        return str(error).lower() or "unknown signs"
    return ""


@lru_cache(maxsize=4096)
def _read(text: str) -> _Line:
    # Without a zone, cronsim knows of no change of clocks: those are dealt with here.
    sim = CronSim(text, _CLOCK)
    comes_every_hour = len(sim.hours) == _HOURS
    has_star = any("*" in part for part in sim.parts[:3])
    return _Line(
        sim=sim,
        comes_every_hour=comes_every_hour,
        repeats=has_star or comes_every_hour or len(sim.minutes) == _MINUTES,
    )


def _shown(line: _Line, timezone: str, after: datetime) -> datetime:
    """Return the latest time of the clock that the line is through with at `after`."""
    shown = after.replace(tzinfo=None) + zones.offset(timezone, after)
    last = None if line.repeats else zones.last_change(timezone, after)
    return shown if last is None else max(shown, last.ends - _SECOND)
