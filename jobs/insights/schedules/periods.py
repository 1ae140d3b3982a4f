"""The calendar that a schedule's runs are laid out on: which cell is which span of time; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SLOT_MINUTES = (60, 30, 20, 15, 10, 5, 2, 1)
_NAMED_MINUTES = 5  # narrower columns have no room for a name each
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class View(StrEnum):
    """What one cell is, and how much is seen at once."""

    DAY = "day"  # hours by minutes of one day
    DAYS = "days"  # 14 days by hours
    WEEKS = "weeks"  # 8 weeks by days
    YEAR = "year"  # 53 weeks, a column each, by days


# The days that a view shows, and those that its neighbour is away.
DAYS_OF = {View.DAY: 1, View.DAYS: 14, View.WEEKS: 56, View.YEAR: 371}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The span of time of one cell; empty where the clocks leave it out."""

    start: datetime  # UTC, included
    end: datetime  # UTC, not included
    day: date  # of the local calendar

    @property
    def exists(self) -> bool:
        """Whether the local clock shows such a time on that day."""
        return self.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A table of slots, row by row."""

    view: View
    last_day: date  # the newest day that is seen
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Slot, ...]], ...]

    @property
    def slots(self) -> list[Slot]:
        """All of them, in the order of time."""
        return sorted((slot for _, row in self.rows for slot in row), key=lambda slot: slot.start)


def view_for(gap: timedelta | None) -> View:
    """Return the view in which runs that are `gap` apart are best seen."""
    if gap is None or gap > timedelta(days=4):
        return View.YEAR
    if gap > timedelta(hours=20):
        return View.WEEKS
    return View.DAYS if gap > timedelta(minutes=45) else View.DAY


def layout(view: View, last_day: date, zone: tzinfo, *, gap: timedelta | None = None) -> Layout:
    """Return the table of `view` that ends with `last_day`, or with that day's week.

    Args:
        view: What is seen.
        last_day: A day of the local calendar.
        zone: Whose calendar it is.
        gap: How far apart the runs are: how fine a day is divided.
    """
    if view is View.DAY:
        columns, rows = _hours_of(last_day, zone, gap)
    elif view is View.DAYS:
        columns, rows = _days_by_hours(last_day, zone)
    else:
        last_day += timedelta(days=6 - last_day.weekday())
        columns, rows = _weeks(view, last_day, zone)
    return Layout(view=view, last_day=last_day, columns=tuple(columns), rows=tuple(rows))


_Row = tuple[str, tuple[Slot, ...]]


def _hours_of(day: date, zone: tzinfo, gap: timedelta | None) -> tuple[list[str], list[_Row]]:
    # By real hours: of a day on which the clocks change there are 23 or 25 rows.
    start, end = _bounds([_midnight(day), _midnight(day + _DAY)], zone)
    minutes = next((m for m in _SLOT_MINUTES if gap and timedelta(minutes=m) <= gap), 1)
    step = timedelta(minutes=minutes)
    form = "%H:%M" if end - start == _DAY else "%H:%M %Z"
    rows = []
    while start < end:
        edges = [start + step * i for i in range(60 // minutes + 1)]
        label = start.astimezone(zone).strftime(form)
        rows.append((label, tuple(_slot(*pair, day) for pair in pairwise(edges))))
        start += _HOUR
    named = max(minutes, _NAMED_MINUTES)
    return [f":{m:02}" if m % named == 0 else "" for m in range(0, 60, minutes)], rows


def _days_by_hours(last_day: date, zone: tzinfo) -> tuple[list[str], list[_Row]]:
    days = [last_day - _DAY * i for i in reversed(range(DAYS_OF[View.DAYS]))]
    columns = []
    for day in days:
        edges = _bounds([_midnight(day) + _HOUR * hour for hour in range(25)], zone)
        columns.append([_slot(*pair, day) for pair in pairwise(edges)])
    rows = [(f"{hour:02}:00", tuple(column[hour] for column in columns)) for hour in range(24)]
    return [f"{day:%a} {day.day}" for day in days], rows


def _weeks(view: View, last_day: date, zone: tzinfo) -> tuple[list[str], list[_Row]]:
    count = DAYS_OF[view]
    days = [last_day - _DAY * i for i in reversed(range(count))]
    edges = _bounds([_midnight(day) for day in [*days, last_day + _DAY]], zone)
    slots = [_slot(*pair, day) for pair, day in zip(pairwise(edges), days, strict=True)]
    weeks = [tuple(slots[i : i + 7]) for i in range(0, count, 7)]
    if view is View.WEEKS:
        return list(_WEEKDAYS), [(_month_day(week[0].day), week) for week in weeks]
    columns = [_month_of(week, i == 0) for i, week in enumerate(weeks)]
    rows = [(name, tuple(week[i] for week in weeks)) for i, name in enumerate(_WEEKDAYS)]
    return columns, rows


def _month_of(week: Sequence[Slot], is_first: bool) -> str:  # noqa: FBT001 - a private helper
    """Return the name of the month that begins in this week, or nothing."""
    begins = [slot.day for slot in week if slot.day.day == 1]
    if begins:
        return begins[0].strftime("%b")
    # Its own name where the next month's doesn't follow at once.
    return week[0].day.strftime("%b") if is_first and week[0].day.day < 15 else ""  # noqa: PLR2004


def _month_day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - what a clock shows


def _slot(start: datetime, end: datetime, day: date) -> Slot:
    return Slot(start=start, end=end, day=day)


def _bounds(shown: list[datetime], zone: tzinfo) -> list[datetime]:
    """Return when the local clock first shows each time, ascending.

    A time that the clocks leave out is the moment at which they do.
    """
    moments = [time.replace(tzinfo=zone).astimezone(UTC) for time in shown]
    for i in reversed(range(len(moments) - 1)):
        moments[i] = min(moments[i], moments[i + 1])
    return moments
