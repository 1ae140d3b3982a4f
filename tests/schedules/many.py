"""Many schedules of one second, made by several schedulers: how many runs, and how late."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from redis import Redis

from jobs.broker import client
from jobs.models import JobStatus, Schedule, ScheduleRun, clock
from tests import wait
from tests.schedulers import Schedulers

SETTINGS = "tests.schedules.many_settings"
SECOND = timedelta(seconds=1)
QUEUE = "rq:queue:default"


@dataclass(slots=True)
class Size:
    """How much of it."""

    schedulers: int = 5
    schedules: int = 200
    seconds: int = 60
    every_seconds: int = 1

    @property
    def expected(self) -> int:
        """How many moments that makes."""
        return self.schedules * (self.seconds // self.every_seconds)

    def variables(self) -> dict[str, str]:
        """Return what the schedulers' settings are made of."""
        return {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "TEST_SCHEDULES": str(self.schedules),
            "TEST_EVERY_SECONDS": str(self.every_seconds),
        }


@dataclass(slots=True)
class Found:
    """What was made in the time that was looked at."""

    expected: int
    runs: int
    jobs: int
    doubles: int  # moments with more than one job
    missing: int  # moments without one
    lateness: list[float] = field(default_factory=list)  # of each job's row, in seconds, ascending
    pushed: list[float] = field(default_factory=list)  # of each entry in Redis, likewise

    def lines(self) -> list[str]:
        """Return it for people."""
        return [
            f"{self.runs:,} runs, {self.jobs:,} jobs of {self.expected:,} moments: "
            f"{self.doubles} doubles, {self.missing} missing",
            f"row's created_at after its moment: {_percentiles(self.lateness)}",
            f"entry in Redis after its moment: {_percentiles(self.pushed)}",
        ]


def make(size: Size, schedulers: Schedulers) -> Found:
    """Start the schedulers, let them make the moments of `size.seconds`, and count."""
    for _ in range(size.schedulers):
        schedulers.start(waits=False, **size.variables())
    for scheduler in schedulers.all:
        wait.until("the schedules of all", lambda scheduler=scheduler: scheduler.is_up)
    every = size.every_seconds * SECOND
    first = Schedule.objects.earliest("next_at").next_at + 2 * every
    last = first + size.seconds * SECOND - every
    pushed = _watch(client.for_work(), first, size)
    wait.until(
        "the last moment of all", lambda: Schedule.objects.filter(next_at__lte=last).count() == 0
    )
    return _count(size, first, last, pushed)


def _watch(redis: Redis, first: datetime, size: Size) -> list[float]:
    """Return how long after its moment each entry was in Redis, ascending; takes all the time.

    By number: the first `schedules` new entries are those of the first moment, and so on.
    """
    to_come = (first - clock.read()).total_seconds()
    began = time.monotonic() + to_come
    time.sleep(max(0.0, to_come - 0.1))
    before, expected = redis.llen(QUEUE), size.expected
    late: list[float] = []
    give_up_at = began + size.seconds + wait.LIMIT_SECONDS
    while len(late) < expected and time.monotonic() < give_up_at:
        since = time.monotonic() - began
        late += [
            since - number // size.schedules * size.every_seconds
            for number in range(len(late), min(redis.llen(QUEUE) - before, expected))
        ]
        time.sleep(0.001)
    return sorted(late)


def _count(size: Size, first: datetime, last: datetime, pushed: list[float]) -> Found:
    between = {"logical_time__gte": first, "logical_time__lte": last}
    moments = list(JobStatus.objects.filter(**between).values_list("schedule", "logical_time"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM created_at - logical_time)::float8 FROM job_statuses "
            "WHERE logical_time BETWEEN %s AND %s ORDER BY 1",
            [first, last],
        )
        lateness = [seconds for (seconds,) in cursor.fetchall()]
    return Found(
        expected=size.expected,
        runs=ScheduleRun.objects.filter(outcome="dispatched", **between).count(),
        jobs=len(moments),
        doubles=len(moments) - len(set(moments)),
        missing=size.expected - len(set(moments)),
        lateness=lateness,
        pushed=pushed,
    )


def _percentiles(seconds: Sequence[float]) -> str:
    return ", ".join(
        f"{name} {1000 * seconds[min(len(seconds) - 1, int(part * len(seconds)))]:.0f} ms"
        for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    )
