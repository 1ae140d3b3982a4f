"""What one job costs: commits, Redis round trips, and CPU of client, PostgreSQL and Redis.

The client is the worker with all its processes, or the process that dispatches.

A worker drains twice, a smaller and a larger number, and is started and stopped alike: the
difference of the two, divided by the difference of the numbers, is free of start-up and shutdown.
What a worker does every second (heartbeats, duties) is in it, by the time that the drain takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

import psutil

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.figures.drain import Drain
from benchmarks.processes import cpu_seconds
from benchmarks.rounds import Row
from benchmarks.subject import Subject

UNITS = {
    "commits": "a job",
    "Redis round trips": "a job",
    "CPU of the client": "µs a job",
    "CPU of PostgreSQL": "µs a job",
    "CPU of Redis": "µs a job",
    "CPU in all": "µs a job",
}
WARM = 50
FLUSHED_SECONDS = 0.5  # an ended backend has counted what it did


@dataclass(frozen=True, slots=True)
class Counted:
    """What the servers and a process have done so far."""

    commits: float
    trips: float
    worker: float
    postgres: float
    redis: float


def run(bench: Bench) -> None:
    """Measure a job's drain, and its dispatch alone and among many."""
    sizes = bench.sizes
    systems = [(each, _numbers(bench, each)) for each in (bench.naive, bench.ours)]
    values: dict[str, dict[str, list[float]]] = {}
    for number in range(sizes.rounds):
        for subject, (few, many) in systems:
            found = {
                "drain": _slope(_drained(subject, few), _drained(subject, many), many - few),
                "dispatch one": _dispatched(subject, sizes.one, one_by_one),
                "dispatch many": _dispatched(subject, sizes.many, at_once),
            }
            for where, costs in found.items():
                for what, value in zip(UNITS, costs, strict=True):
                    values.setdefault(f"{where}: {what}", {}).setdefault(subject.name, []).append(
                        value
                    )
        rounds.say(f"costs {number + 1}/{sizes.rounds}")
    bench.add(_rows(values))


def _numbers(bench: Bench, subject: Subject) -> tuple[int, int]:
    """Return how many jobs the smaller and the larger drain have: a second's, and four's."""
    if not bench.sizes.drain_seconds:
        return 0, bench.sizes.first_drain
    rate = Drain(bench, subject)()
    return int(rate), int(rate * bench.sizes.drain_seconds)


def _rows(values: dict[str, dict[str, list[float]]]) -> list[Row]:
    return [
        row
        for what, by_name in values.items()
        for row in rounds.rows("costs", what, UNITS[what.split(": ")[1]], by_name)
    ]


def _drained(subject: Subject, count: int) -> Counted:
    if not count:
        return Counted(0.0, 0.0, 0.0, 0.0, 0.0)
    subject.clear()
    subject.dispatch("Echo", "x", count)
    subject.order("close")
    before = _count(subject, 0.0)
    with subject.working("default") as workers:
        subject.await_begun(workers, 1)
        # Without asking the servers in between: the questions would be counted.
        while subject.redis.llen("rq:queue:default"):
            time.sleep(0.2)
        subject.await_done(workers, count)
        worker = workers.cpu_seconds()
    return _minus(_count(subject, worker), before)


def one_by_one(subject: Subject, count: int) -> None:
    """Dispatch in autocommit."""
    subject.order("one", job="Echo", queue="default", value="x", count=count)


def at_once(subject: Subject, count: int) -> None:
    """Dispatch 1,000 a call."""
    subject.dispatch("Echo", "x", count)


def _dispatched(
    subject: Subject, count: int, dispatch: Callable[[Subject, int], None]
) -> list[float]:
    subject.clear()
    dispatch(subject, WARM)
    subject.order("close")
    before = _count(subject, subject.order("cpu"))
    dispatch(subject, count)
    subject.order("close")
    return _a_job(_minus(_count(subject, subject.order("cpu")), before), count)


def _slope(few: Counted, many: Counted, jobs: int) -> list[float]:
    return _a_job(_minus(many, few), jobs)


def _a_job(all_of: Counted, jobs: int) -> list[float]:
    commits, trips, *seconds = (value / jobs for value in astuple(all_of))
    return [commits, trips, *(each * 1e6 for each in seconds), sum(seconds) * 1e6]


def _minus(after: Counted, before: Counted) -> Counted:
    return Counted(*(a - b for a, b in zip(astuple(after), astuple(before), strict=True)))


def _count(subject: Subject, worker: float) -> Counted:
    time.sleep(FLUSHED_SECONDS)
    [(commits,)] = subject.query(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    )
    [(backend,)] = subject.query("SELECT pg_backend_pid()")
    redis = subject.redis.info()
    return Counted(
        commits=float(commits),
        trips=float(redis["total_reads_processed"]),
        worker=worker,
        postgres=_postgres_seconds(backend),
        redis=redis["used_cpu_user"] + redis["used_cpu_sys"],
    )


def _postgres_seconds(backend: int) -> float:
    """Return the CPU time of all of PostgreSQL, or 0 where it runs elsewhere."""
    try:
        parent = psutil.Process(backend).parent()
    except psutil.NoSuchProcess:
        return 0.0
    if parent is None or "postgres" not in parent.name():
        return 0.0
    return cpu_seconds([parent, *parent.children(recursive=True)])
