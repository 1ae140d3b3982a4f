"""Which moments a schedule has, and what must become of each: apart from the code it judges.

It knows no cron library and nothing of `jobs`: it goes through a span minute by minute and asks the
time zones' own tables what the clock on the wall says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
ON_TIME = timedelta(seconds=10)  # a moment handled no later than this isn't missed
MADE, SKIPPED = "dispatched", "skipped"

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@dataclass(frozen=True, kw_only=True)
class Times:
    """When: cron lines on the wall of a zone, or an interval from a moment; within bounds."""

    lines: tuple[str, ...] = ()
    zone: str = "UTC"
    every: timedelta | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None


@dataclass(kw_only=True)
class Life:
    """What befell a schedule: which times held when, and when nobody was there to see."""

    catch_up: str = "last"  # "none", "last", or minutes as text
    eras: list[tuple[datetime, Times]] = field(default_factory=list)  # from when which times held
    ends: datetime
    away: list[tuple[datetime, datetime]] = field(default_factory=list)
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)


def expected(life: Life) -> dict[datetime, str]:
    """Return what must have become of each moment of a life."""
    found: dict[datetime, str] = {}
    spans = zip(life.eras, [*(begin for begin, _ in life.eras[1:]), life.ends], strict=True)
    for (begin, times), end in spans:
        moments = sorted(m for m in moments_of(times, begin, end) if begin < m <= end)
        found |= _fates(moments, life)
    return found


def _fates(moments: list[datetime], life: Life) -> dict[datetime, str]:
    fates = dict.fromkeys(moments, MADE)
    for gone, back in life.away:
        asleep = [moment for moment in moments if gone < moment <= back]
        missed = [moment for moment in asleep if back - moment > ON_TIME]
        fates |= dict.fromkeys(missed, SKIPPED)
        if life.catch_up == "last":
            if missed and missed == asleep:
                fates[missed[-1]] = MADE
        elif life.catch_up != "none":
            window = timedelta(minutes=int(life.catch_up))
            fates |= {moment: MADE for moment in missed if back - moment <= window}
    for begin, end in life.pauses:
        seen = {moment: seen_at(moment, life) for moment in moments}
        fates |= {moment: SKIPPED for moment, at in seen.items() if begin < at <= end}
    return fates


def seen_at(moment: datetime, life: Life) -> datetime:
    """Return when somebody was first there for a moment."""
    return next((back for gone, back in life.away if gone < moment <= back), moment)


def moments_of(times: Times, begin: datetime, end: datetime) -> set[datetime]:
    """Return the moments of `times` from `begin` to `end`, in UTC."""
    if times.every is not None:
        found = set(_multiples(times, begin, end))
    else:
        found = {m for line in times.lines for m in _of_line(line, times.zone, begin, end)}
    first, last = times.start_at or begin, times.end_at or end
    return {moment for moment in found if first <= moment <= last}


def _multiples(times: Times, begin: datetime, end: datetime) -> Iterator[datetime]:
    anchor = times.start_at or datetime(1970, 1, 1, tzinfo=UTC)
    assert times.every is not None
    moment = anchor + max(0, (begin - anchor) // times.every) * times.every
    while moment <= end:
        yield moment
        moment += times.every


def _of_line(line: str, zone: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    minutes, hours, *_ = line.split()
    wall, tz = _allowed(line), ZoneInfo(zone)
    if "*" not in minutes + hours:
        yield from (_first(at, tz) or _end_of_skip(at, tz) for at in _days(wall, begin, end))
        return
    # What the wall shows counts, as often as it shows it.
    yield from (m for m in _span(begin, end) if _fits(wall, _on_the_wall(zone)[m]))
    if hours != "*":
        yield from (_end_of_skip(at, tz) for at in _days(wall, begin, end) if not _first(at, tz))


def _days(wall: list[set[int]], begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the times that fit as if no clock ever changed, without a zone."""
    day = timedelta(days=1)
    naive = (begin - 2 * day).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    while naive.replace(tzinfo=UTC) <= end + 2 * day:
        times = [naive.replace(hour=h, minute=m) for h in sorted(wall[1]) for m in sorted(wall[0])]
        yield from (at for at in times if _fits(wall, at))
        naive += day


def _first(at: datetime, tz: ZoneInfo) -> datetime | None:
    """Return when the wall first shows a time, or None where it never does."""
    moment = at.replace(tzinfo=tz, fold=0).astimezone(UTC)
    return moment if moment.astimezone(tz).replace(tzinfo=None) == at else None


def _end_of_skip(at: datetime, tz: ZoneInfo) -> datetime:
    """Return the first minute after the change of the clocks that skipped a time."""
    before = at.replace(tzinfo=tz, fold=0).astimezone(UTC) - timedelta(hours=4)
    while before.astimezone(tz).utcoffset() == (before + MINUTE).astimezone(tz).utcoffset():
        before += MINUTE
    return before + MINUTE


def _span(begin: datetime, end: datetime) -> Iterator[datetime]:
    moment = begin.replace(second=0, microsecond=0)
    while moment <= end:
        yield moment
        moment += MINUTE


class _Wall(dict[datetime, datetime]):
    def __init__(self, zone: str) -> None:
        super().__init__()
        self._tz = ZoneInfo(zone)

    def __missing__(self, moment: datetime) -> datetime:
        self[moment] = wall = moment.astimezone(self._tz).replace(tzinfo=None)
        return wall


@cache
def _on_the_wall(zone: str) -> _Wall:
    return _Wall(zone)


def _allowed(line: str) -> list[set[int]]:
    fields = zip(line.split(), _FIELDS, strict=True)
    return [set(_values(text, low, high)) for text, (low, high) in fields]


def _values(text: str, low: int, high: int) -> Iterable[int]:
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def _fits(wall: list[set[int]], at: datetime) -> bool:
    numbers = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
    return all(number in allowed for number, allowed in zip(numbers, wall, strict=True))
