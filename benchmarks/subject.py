"""One measured system: how it is dispatched to, what works for it, how its rows are read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.places import Place
from benchmarks.processes import Workers

FIRST_JOB_SECONDS = 60.0  # a worker that has begun no job by then never will
CALL = 1_000  # jobs a call, where many are dispatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is particular to a system."""

    name: str
    python: str
    driver: str  # the module that dispatches
    environment: dict[str, str] = field(default_factory=dict)
    # Together two processes that run jobs. {queues} stands for the queues' names, {queues,} for
    # the same with commas.
    workers: tuple[tuple[str, ...], ...]
    tables: tuple[str, ...]
    keeps: tuple[str, ...] = ()  # keys of Redis that stand in a site that has run for a while
    is_done: str  # SQL: whether all %(count)s rows have ended well
    ended_since: str  # SQL: how many ended after that unix time, and the last's unix time
    runs_in: int = 2  # processes that run jobs


class Subject:
    """A system at its place, with a driver that is warm."""

    def __init__(self, plan: Plan, place: Place) -> None:
        self.plan = plan
        self.place = place
        self.name = plan.name
        self.is_filled = False  # with a backlog
        self.marks = Path(tempfile.mkdtemp(prefix=f"bench-{plan.name}-"))
        self.environment = {
            "DATABASE_URL": place.database_url,
            "REDIS_URL": place.redis_url,
            "BENCH_MARKS": str(self.marks),
            "DEBUG": "0",
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
            **plan.environment,
        }
        with (self.marks / "driver.log").open("ab") as log:
            self._driver = subprocess.Popen(
                [plan.python, "-m", plan.driver],
                env={**os.environ, **self.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.order("prepare")
        self.connection = place.connect()
        self.redis = place.redis()

    def order(self, verb: str, **what: Any) -> Any:
        """Have the driver do something; return its answer.

        Raises:
            SystemExit: The driver failed; its log is told.
        """
        assert self._driver.stdin is not None  # noqa: S101 - for the type checker
        assert self._driver.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            self._driver.stdin.write(json.dumps({"verb": verb, **what}) + "\n")
            self._driver.stdin.flush()
        answer = self._driver.stdout.readline()
        if not answer:
            log = (self.marks / "driver.log").read_text(errors="replace")
            raise SystemExit(f"The driver of {self.name} failed at {verb}:\n{log[-4000:]}")
        return json.loads(answer)

    def dispatch(self, job: str, value: Any, count: int, queue: str = "default") -> float:
        """Dispatch `count` jobs, CALL a call; return the seconds it took."""
        calls = [[value] * min(CALL, count - at) for at in range(0, count, CALL)]
        seconds: float = self.order("many", job=job, queue=queue, calls=calls)
        return seconds

    def clear(self) -> None:
        """Forget every job, in rows and in Redis, and every mark."""
        self.query(f"TRUNCATE {', '.join(self.plan.tables)} CASCADE")
        kept = {key: self.redis.get(key) for key in self.plan.keeps}
        self.redis.flushdb()
        for key, value in kept.items():
            if value is not None:
                self.redis.set(key, value)
        self.forget_marks()

    def forget_marks(self) -> None:
        """Forget every mark; workers that run keep none."""
        for mark in (*self.marks.glob("*.begun"), *self.marks.glob("told")):
            mark.unlink()

    def query(self, sql: str, params: object = None) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def working(
        self, *queues: str, options: Sequence[str] = (), **environment: str
    ) -> Iterator[Workers]:
        """Within, its workers run; `options` are added to their command."""
        served = queues or ("default",)
        spread = {"{queues}": served, "{queues,}": (",".join(served),)}
        commands = [
            [*(part for each in command for part in spread.get(each, (each,))), *options]
            for command in self.plan.workers
        ]
        log = self.marks / "workers.log"
        log.unlink(missing_ok=True)
        with processes.running(commands, {**self.environment, **environment}, log) as workers:
            yield workers

    def begun(self) -> list[float]:
        """Return when each process began its first job, as unix time; the earliest first."""
        names = (mark.name for mark in self.marks.glob("*.begun"))
        return sorted(int(name.split("-")[0]) / 1e9 for name in names)

    def await_begun(self, workers: Workers, count: int) -> float:
        """Wait until `count` processes have begun a job; return when the last of them did.

        Raises:
            SystemExit: That takes longer than a minute.
        """
        limit = time.monotonic() + FIRST_JOB_SECONDS
        while len(begun := self.begun()) < count:
            workers.must_live()
            if time.monotonic() > limit:
                raise SystemExit(
                    f"{self.name}: {len(begun)} of {count} processes have begun a job:\n"
                    f"{workers.log.read_text(errors='replace')[-4000:]}"
                )
            time.sleep(0.005)
        return begun[count - 1]

    def await_done(self, workers: Workers, count: int, limit_seconds: float = 600.0) -> None:
        """Wait until all the `count` jobs have ended well.

        Raises:
            SystemExit: It takes longer.
        """
        count_of = {"count": count}
        limit = time.monotonic() + limit_seconds
        # A plain length first: the rows are counted only when nothing waits any longer.
        while (
            self.redis.llen("rq:queue:default") or not self.query(self.plan.is_done, count_of)[0][0]
        ):
            workers.must_live()
            if time.monotonic() > limit:
                raise SystemExit(f"{self.name}: its jobs haven't ended in {limit_seconds:.0f} s")
            time.sleep(0.03)

    def told(self) -> dict[int, tuple[int, int]]:
        """Return for each job Tell that has begun when its work did, and when its function did.

        In ns of the monotonic clock.
        """
        path = self.marks / "told"
        if not path.exists():
            return {}
        lines = (map(int, line.split()) for line in path.read_text(encoding="ascii").splitlines())
        return {number: (at_ns, first_ns) for number, at_ns, first_ns in lines}

    def empty_told(self) -> None:
        """Forget what was told; the workers that run keep the file open."""
        os.truncate(self.marks / "told", 0)

    def close(self) -> None:
        """End the driver; its marks and logs go with it."""
        self.connection.close()
        if self._driver.stdin is not None:
            self._driver.stdin.close()
        self._driver.wait(30)
        shutil.rmtree(self.marks, ignore_errors=True)
