"""Everything that runs in a chaos run: two servers, workers, schedulers, producers, a person."""

from __future__ import annotations

import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.programs import Program
from tests.servers import OwnPostgres, OwnRedis
from tests.workers import MANAGE

QUEUES = ("high", "low")
PRODUCERS = 3
# The second scheduler comes and goes: so long without, so long with.
SECOND_SCHEDULER_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Stage:
    """What stands. All of it is done in the main thread: nothing outlives it."""

    folder: Path
    postgres: OwnPostgres
    redis: OwnRedis
    workers: list[Program] = field(default_factory=list)
    schedulers: list[Program] = field(default_factory=list)
    callers: list[Program] = field(default_factory=list)  # producers and people
    begun_at: float = field(default_factory=time.monotonic)
    _later: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def seconds(self) -> float:
        """How long it has been on."""
        return time.monotonic() - self.begun_at

    @property
    def everybody(self) -> list[Program]:
        """All processes but the servers."""
        return [*self.workers, *self.schedulers, *self.callers]

    def raise_curtain(self, *, seed: int, seconds: float, jobs: int) -> None:
        """Start everything; the servers run already."""
        # The first bears a name, which each start takes over from the one before.
        self.workers = [self._worker("worker-1", "--name", "worker-1"), self._worker("worker-2")]
        self.schedulers = [self._manage(f"scheduler-{n}", "rqscheduler") for n in (1, 2)]
        for number in range(PRODUCERS):
            share = (jobs + number) // PRODUCERS
            self.callers.append(
                self._caller("producers", f"producer-{number}", seed, seconds, f"--jobs={share}")
            )
        for name in ("person", "backfiller"):
            self.callers.append(self._caller(name, name, seed, seconds))
        for program in [*self.workers, self.schedulers[0], *self.callers]:
            program.start()
        self.begun_at = time.monotonic()

    def _worker(self, name: str, *options: str) -> Program:
        return self._manage(name, "rqworker", *QUEUES, "--concurrency", "2", *options)

    def _manage(self, name: str, *arguments: str) -> Program:
        return self._program(name, MANAGE, *arguments)

    def _caller(self, module: str, name: str, seed: int, seconds: float, *rest: str) -> Program:
        options = [f"--seed={seed}-{name}", f"--seconds={seconds}", *rest]
        if module == "producers":
            options.append(f"--name={name}")
        return self._program(name, "-m", f"tests.chaos.{module}", *options)

    def _program(self, name: str, *argv: str) -> Program:
        return Program(
            name=name,
            argv=(sys.executable, *argv),
            environment={
                **os.environ,
                "DATABASE_URL": self.postgres.url,
                "REDIS_URL": self.redis.url,
                "CHAOS_FOLDER": str(self.folder),
                "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
                "PYTHONUNBUFFERED": "1",
            },
            folder=self.folder,
        )

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Have `deed` done in so many seconds."""
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._count), deed))

    def keep(self) -> None:
        """Do what is due, and start again what has ended. Call it again and again."""
        self._do_due()
        for program in self.workers:
            program.keep()
        self.schedulers[0].keep()
        self._keep_second_scheduler()

    def _do_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def _keep_second_scheduler(self) -> None:
        second = self.schedulers[1]
        if int(self.seconds / SECOND_SCHEDULER_SECONDS) % 2:
            second.keep()
        elif second.is_running and not (second.is_told or second.is_condemned):
            self.terminate(second)

    def terminate(self, program: Program) -> None:
        """Tell it to end."""
        if program.process is not None:
            program.is_told = True
            program.process.terminate()

    def end_faults(self) -> None:
        """Do at once what was to come later: everything goes on, the servers are back."""
        for _, _, deed in sorted(self._later):
            deed()
        self._later.clear()

    def kill(self) -> None:
        """Leave nothing running."""
        for program in self.everybody:
            program.kill()
        self.redis.kill()
        self.postgres.kill()
