"""What will befall some schedules within a span: drawn from a seed, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import Any

from tests.life.oracle import Life, Times

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "UTC",
)
# Each is due where clocks change, in one zone or another.
LINES = (
    ("30 * * * *",),
    ("30 2 * * *",),
    ("0 */2 * * *",),
    ("0 0 * * *",),
    ("0 2 * * 0",),
    ("15 1,2,3 * * *",),
    ("0 3 * * *", "30 12 * * 1-5"),
    ("*/30 * * * *",),
    ("0 0 1 * *",),
    ("30 1 * * *",),
    ("0 * * * *",),
    ("*/15 8-18 * * 1-5",),
    ("45 23 * * 6",),
    ("5 0 29 2 *", "0 4 1 1 *"),
)
EVERY = (timedelta(hours=6), timedelta(minutes=90), timedelta(days=7), timedelta(minutes=45))
CATCH_UP = ("last", "none", "90", "last", "30")
HOUR = timedelta(hours=1)


@dataclass(frozen=True, order=True)
class Event:
    """One thing that befalls the schedulers."""

    at: datetime
    what: str  # restart, outage, edit, pause, resume
    name: str = ""


@dataclass(kw_only=True)
class Plan:
    """A whole life: the events in order, and for the oracle what they mean for each schedule."""

    begins: datetime
    ends: datetime
    lives: dict[str, Life] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    kills: int = 0  # between which statements is drawn while it runs


def drawn(
    seed: int, *, begins: datetime, days: int, schedules: int, kills: int, outages: int
) -> Plan:
    """Return a life of so many days and schedules."""
    rand = Random(seed)
    ends = begins + timedelta(days=days)
    plan = Plan(begins=begins, ends=ends, kills=kills)
    zones = cycle(ZONES)
    for number in range(schedules):
        times = _times(number, next(zones), begins, days, rand)
        life = Life(catch_up=CATCH_UP[number % len(CATCH_UP)], ends=ends)
        life.eras.append((begins, times))
        plan.lives[f"s{number:02}"] = life
    gone = _apart(rand, begins, ends, outages)
    plan.events = [Event(at, "outage") for at in gone]
    plan.events += [
        Event(at, "restart")
        for day in range(days)
        if not _is_asleep(at := _odd(rand, begins + timedelta(days=day), 24 * HOUR), gone)
    ]
    _add_edits(plan, rand, gone)
    _add_pauses(plan, rand, gone)
    for life in plan.lives.values():
        life.away = [(at, at + HOUR) for at in gone]
    plan.events.sort()
    return plan


def entry_of(life: Life, era: int) -> dict[str, Any]:
    """Return what the settings say of a schedule in one of its eras."""
    times = life.eras[era][1]
    entry: dict[str, Any] = {"job": "Echo", "params": {"value": "x"}, "overlap": "allow"}
    entry["catch_up"] = f"{life.catch_up}m" if life.catch_up.isdigit() else life.catch_up
    entry["timezone"] = times.zone
    if times.every is not None:
        entry["every"] = times.every
    else:
        entry["cron"] = list(times.lines)
    bounds = {"start_at": times.start_at, "end_at": times.end_at}
    return entry | {name: moment for name, moment in bounds.items() if moment is not None}


def _times(number: int, zone: str, begins: datetime, days: int, rand: Random) -> Times:
    if number % 6 == 5:
        anchor = begins + timedelta(hours=rand.randrange(72), minutes=17)
        every = EVERY[number // 6 % len(EVERY)]
        return Times(every=every, zone=zone, start_at=anchor if number % 12 == 5 else None)
    ends = begins + timedelta(days=days * 3 // 4) if number % 10 == 7 else None
    return Times(lines=LINES[number % len(LINES)], zone=zone, end_at=ends)


def _apart(rand: Random, begins: datetime, ends: datetime, count: int) -> list[datetime]:
    """Return moments of which no two are within a day and no one is near an end."""
    days = (ends - begins).days
    picked = sorted(rand.sample(range(1, days - 1), min(count, days - 2)))
    return [_odd(rand, begins + timedelta(days=day), 20 * HOUR) for day in picked]


def _odd(rand: Random, begin: datetime, within: timedelta) -> datetime:
    # Never at a moment of a schedule: those are at whole minutes.
    minutes = rand.randrange(int(within / timedelta(minutes=1)))
    return begin + timedelta(minutes=minutes, seconds=rand.randrange(13, 48))


def _is_asleep(at: datetime, gone: list[datetime]) -> bool:
    return any(since <= at <= since + HOUR for since in gone)


def _add_edits(plan: Plan, rand: Random, gone: list[datetime]) -> None:
    """Have one schedule in five get new times, some while nobody is there."""
    for number, (name, life) in enumerate(plan.lives.items()):
        if number % 5 != 3 or not gone:
            continue
        before = life.eras[0][1]
        times = Times(lines=LINES[(number + 5) % len(LINES)], zone=before.zone)
        if number % 2:
            since = rand.choice(gone)  # edited in an outage: in force from its end
            life.eras.append((since + HOUR, times))
            plan.events.append(Event(since + timedelta(minutes=30), "edit", name))
        else:
            at = next(iter(islice(_awake(plan, rand, gone), 1)))
            life.eras.append((at, times))
            plan.events += [Event(at, "edit", name), Event(at, "restart")]


def _add_pauses(plan: Plan, rand: Random, gone: list[datetime]) -> None:
    for number, (name, life) in enumerate(plan.lives.items()):
        if number % 7 == 2:
            begin, end = sorted(islice(_awake(plan, rand, gone), 2))
            life.pauses.append((begin, end))
            plan.events += [Event(begin, "pause", name), Event(end, "resume", name)]


def _awake(plan: Plan, rand: Random, gone: list[datetime]) -> Any:
    while True:
        at = _odd(rand, plan.begins + HOUR, plan.ends - plan.begins - 2 * HOUR)
        if not _is_asleep(at, gone):
            yield at


def new_year(year: int) -> datetime:
    """Return the first moment of a year."""
    return datetime(year, 1, 1, tzinfo=UTC)
