"""Schedulers live through a plan, by a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import django_rq
from django.conf import settings
from django.db import connection

from jobs.broker import client
from jobs.models import Schedule, clock
from jobs.schedules import control, tick
from tests.life import plan as plans
from tests.life.oracle import moments_of
from tests.life.plan import Event, Plan

_MOST_ROUNDS = 1_000  # at one moment; a scheduler that is never done is one that hangs
_KILLED_WITHIN = 14  # statements of a round
_FLUSHED_EACH = 5_000  # rounds: nobody takes what is pushed


class Killed(BaseException):
    """The process is gone; no handler of its own saw it."""


@dataclass(kw_only=True)
class Told:
    """What was done, to be printed."""

    rounds: int = 0
    starts: int = 0
    kills: int = 0
    killed_at: dict[str, int] = field(default_factory=dict)  # how often, by the statement's verb


class StandingClock:
    """The moment that every statement of this process takes."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def set(self, at: datetime) -> None:
        """Let it be `at`."""
        self.at = at
        with connection.cursor() as cursor:
            cursor.execute("UPDATE tests_life_clock SET at = %s", [at])


@contextmanager
def standing_clock(begin: datetime) -> Iterator[StandingClock]:
    """Put a clock that stands in the place of the database's."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tests_life_clock (at timestamptz NOT NULL)")
        cursor.execute("INSERT INTO tests_life_clock VALUES (%s)", [begin])
    before = clock.NOW, clock.WALL
    clock.NOW = clock.WALL = "(SELECT at FROM tests_life_clock)"
    try:
        yield StandingClock(begin)
    finally:
        clock.NOW, clock.WALL = before
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE tests_life_clock")


def live(plan: Plan, *, seed: int, say: Callable[[str], None]) -> Told:
    """Live through `plan` and return what was done; the rows tell what came of it."""
    with standing_clock(plan.begins) as its_clock:
        drive = _Drive(plan, its_clock, Random(seed), say)
        drive.go()
    return drive.told


class _Drive:
    def __init__(
        self, plan: Plan, its_clock: StandingClock, rand: Random, say: Callable[[str], None]
    ) -> None:
        self.told = Told()
        self._plan = plan
        self._clock = its_clock
        self._rand = rand
        self._say = say
        self._eras = dict.fromkeys(plan.lives, 0)
        # Twice the rate that is needed: some rounds are over before their kill.
        self._kill_chance = 2 * plan.kills / max(1, _rounds_of(plan))
        self._scheduler: Any = None

    def go(self) -> None:
        """Live from the first start to the end."""
        self._write_settings()
        self._start()
        events = iter([*self._plan.events, Event(self._plan.ends, "end")])
        event = next(events)
        while True:
            due_at = self._due_at()
            if due_at is not None and due_at <= event.at:
                self._clock.set(max(due_at, self._clock.at))
                self._make_due()
                continue
            if event.what == "end":
                return
            self._clock.set(max(event.at, self._clock.at))
            if event.what == "outage":
                event = self._sleep(event, events)
                continue
            self._befall(event)
            event = next(events)

    def _sleep(self, event: Event, events: Iterator[Event]) -> Event:
        """Have nobody there for an hour; return the first event after it."""
        until, event = event.at + plans.HOUR, next(events)
        while event.at < until:
            self._befall(event)
            event = next(events)
        self._clock.set(until)
        self._start()
        return event

    def _befall(self, event: Event) -> None:
        life = self._plan.lives.get(event.name)
        match event.what:
            case "restart":
                self._start()
            case "edit":
                self._eras[event.name] += 1
                self._write_settings()
            case "pause":
                control.pause(event.name, by="alice", note="stocktaking")
            case "resume":
                control.resume(event.name, by="alice")
            case _:
                raise AssertionError(event, life)

    def _write_settings(self) -> None:
        settings.JOB_SCHEDULES = {
            name: plans.entry_of(life, self._eras[name]) for name, life in self._plan.lives.items()
        }

    def _start(self) -> None:
        self.told.starts += 1
        self._scheduler = django_rq.get_scheduler("default")
        self._make_due()

    def _make_due(self) -> None:
        """Have a scheduler make what is due; a killed one is followed by another at once."""
        for _ in range(_MOST_ROUNDS):
            self.told.rounds += 1
            self._count_round()
            try:
                with _maybe_killed(self._fate()) as struck:
                    self._scheduler.run(burst=True)
            except Killed:
                self._bury(struck)
                continue
            due_at = self._due_at()
            if due_at is None or due_at > self._clock.at:
                return
        raise AssertionError(f"still not done at {self._clock.at}")

    def _due_at(self) -> datetime | None:
        if not Schedule.objects.filter(enabled=True, next_at__isnull=False).exists():
            return None
        seconds = tick.seconds_to_next()
        return None if seconds is None else self._clock.at + timedelta(seconds=seconds)

    def _fate(self) -> tuple[int, bool] | None:
        if self.told.kills >= self._plan.kills or self._rand.random() > self._kill_chance:
            return None
        return self._rand.randrange(_KILLED_WITHIN), self._rand.random() < 0.5

    def _bury(self, struck: list[str]) -> None:
        connection.close()  # the server rolls back what was open
        self.told.kills += 1
        verb = struck[0].split()[0]
        self.told.killed_at[verb] = self.told.killed_at.get(verb, 0) + 1
        self.told.starts += 1
        self._scheduler = django_rq.get_scheduler("default")

    def _count_round(self) -> None:
        if self.told.rounds % _FLUSHED_EACH == 0:
            client.for_work().flushdb()
            self._say(f"{self._clock.at:%Y-%m-%d}: {self.told.rounds:,} rounds")


def _rounds_of(plan: Plan) -> int:
    moments: set[datetime] = set()
    for life in plan.lives.values():
        moments |= moments_of(life.eras[0][1], plan.begins, plan.ends)
    return len(moments)


@contextmanager
def _maybe_killed(fate: tuple[int, bool] | None) -> Iterator[list[str]]:
    """Within, the process is killed at its so-manieth statement: before it, or right after it."""
    struck: list[str] = []
    if fate is None:
        yield struck
        return
    left, is_after = fate

    def kill(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        nonlocal left
        left -= 1
        if left >= 0:
            return execute(sql, params, many, context)
        struck.append(sql)
        if is_after:
            execute(sql, params, many, context)
        raise Killed

    with connection.execute_wrapper(kill):
        yield struck
