"""What restarts under load cost: jobs lost by our worker, by rq's SimpleWorker and by rq's Worker.

Each worker works on two queues: `low` is never empty, to `high` a few jobs come when it has been
empty. Half of the jobs return at once, half sleep for 5 ms; each of them is sound. At a random
moment, 0.02 to 1 s after the first job that it has done, the process gets the signal; when it has
ended, the next one is started, as a process manager would. SIGTERM is what a deploy sends, SIGKILL
what a crash is like. After the last restart everything is waited out: our worker runs until each
job has ended; rq's runs until its queues are empty, then its started registries expire (95 s) and
rq's own maintenance is done.

A job is lost if it didn't complete: either it is nowhere (in no queue, in no registry) or it was
declared failed though there is nothing wrong with it. Beside it stands what ran again: allowed
where an attempt was cut off by SIGKILL. The moments come from --seed, the same for each worker.

On servers of its own:

    manage.py devstack exec --fresh --folder var/bench -- python benchmarks/restarts.py
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

import django
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import clean_registries
from rq.serializers import JSONSerializer

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["TEST_JOBS_SECONDS"] = '{"lease": 3.0, "heartbeat": 0.5}'
os.environ.setdefault("LOG_LEVEL", "WARNING")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db.models import Count  # noqa: E402

from jobs.broker import client  # noqa: E402
from jobs.models import JobAttempt, JobStatus  # noqa: E402
from jobs.statuses import TERMINAL  # noqa: E402
from tests import jobs, wait  # noqa: E402

QUEUES = ("high", "low")
FULL = 60  # jobs that wait in `low`: it is never empty
FEW, HIGH_SECONDS = 4, 0.1  # jobs that come to `high`, and how often at most
SLEEP_SECONDS = 0.005
LATEST_SECONDS = 1.0
RQ_TIMEOUT_SECONDS = 30  # of a job: then its registry entry expires after 90 s
RQ_EXPIRY_SECONDS = 95
PATIENCE_SECONDS = 300
ROW = "{:<16} {:<8} {:>8} {:>6} {:>7} {:>9} {:>8} {:>7} {:>6}  {}"
About = tuple[str, str, int, int]  # the first columns


@dataclass(slots=True)
class Tally:
    """What became of the jobs of one case."""

    jobs: int = 0
    completed: int = 0
    failed: int = 0
    nowhere: int = 0
    ran_again: str = ""


class Contestant(Protocol):
    """A worker under test, and its own way to make and to count jobs."""

    name: str
    redis: Redis

    def make(self, queue: str, count: int) -> None:
        """Make `count` jobs in `queue`."""

    def command(self) -> list[str]:
        """Return the command of one worker process."""

    def drain(self) -> None:
        """Let what is left run."""

    def count(self) -> Tally:
        """Count, when everything is over."""


@dataclass(slots=True)
class Ours:
    """Our worker."""

    name: str = "ours"
    redis: Redis = field(default_factory=client.for_work)

    def __post_init__(self) -> None:
        self.redis.flushdb()
        JobStatus.objects.all().delete()

    def make(self, queue: str, count: int) -> None:
        """Dispatch `count` jobs."""
        half = count // 2
        jobs.Echo.dispatch_many([{"value": "x"}] * half, queue=queue)
        jobs.Sleep.dispatch_many([{"seconds": SLEEP_SECONDS}] * (count - half), queue=queue)

    def command(self) -> list[str]:
        """Return `manage.py rqworker high low`."""
        return [sys.executable, "manage.py", "rqworker", *QUEUES]

    def drain(self) -> None:
        """Run until each job has ended."""
        with running(self.command()) as process:
            wait.until("the end of every job", self._is_over, limit_seconds=PATIENCE_SECONDS)
            process.terminate()
            process.wait(60)

    @staticmethod
    def _is_over() -> bool:
        return not JobStatus.objects.exclude(status__in=TERMINAL).exists()

    def count(self) -> Tally:
        """Count the rows."""
        rows = dict(JobStatus.objects.values_list("status").annotate(Count("id")))
        again = JobAttempt.objects.exclude(outcome="completed")
        by_reason = dict(again.values_list("error_class").annotate(Count("id")))
        completed, failed = rows.pop("completed", 0), rows.pop("failed", 0)
        return Tally(
            jobs=completed + failed + sum(rows.values()),
            completed=completed,
            failed=failed,
            nowhere=sum(rows.values()),
            ran_again=", ".join(
                f"{n} after {why or 'a give-back'}" for why, n in by_reason.items()
            ),
        )


@dataclass(slots=True)
class Stock:
    """One of rq's own worker classes, as `rq worker` runs it."""

    name: str
    redis: Redis
    url: str
    ids: list[str] = field(default_factory=list)

    def make(self, queue: str, count: int) -> None:
        """Dispatch `count` jobs."""
        half = count // 2
        quick = [("operator.add", (1, 2))] * half
        slow = [("time.sleep", (SLEEP_SECONDS,))] * (count - half)
        made = Queue(queue, connection=self.redis, serializer=JSONSerializer).enqueue_many(
            Queue.prepare_data(function, args, timeout=RQ_TIMEOUT_SECONDS, result_ttl=86_400)
            for function, args in [*quick, *slow]
        )
        self.ids += [job.id for job in made]

    def command(self) -> list[str]:
        """Return `rq worker high low`."""
        rq = str(Path(sys.executable).parent / "rq")
        options = ["--url", self.url, "--worker-class", self.name, "--serializer", "json"]
        return [rq, "worker", *options, "--quiet", *QUEUES]

    def drain(self) -> None:
        """Run until the queues are empty."""
        command = self.command()
        with running([*command[:2], "--burst", *command[2:]]) as process:
            process.wait(PATIENCE_SECONDS)

    def count(self) -> Tally:
        """Do the maintenance, then count what the job hashes say."""
        for name in QUEUES:
            clean_registries(Queue(name, connection=self.redis, serializer=JSONSerializer))
        self.drain()  # what the maintenance has put back
        found = Job.fetch_many(self.ids, connection=self.redis, serializer=JSONSerializer)
        statuses = [None if job is None else job.get_status(refresh=False) for job in found]
        completed = sum(status == RqStatus.FINISHED for status in statuses)
        failed = sum(status == RqStatus.FAILED for status in statuses)
        return Tally(
            jobs=len(self.ids),
            completed=completed,
            failed=failed,
            nowhere=len(self.ids) - completed - failed,
        )


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": "."}, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def restart(contestant: Contestant, number: int, restarts: int, moments: Random) -> int:
    """Start it, load it, signal it again and again; return how often it was busy then."""
    busy = 0
    for _ in range(restarts):
        with running(contestant.command()) as process:
            before = done(contestant.redis)
            load_until(contestant, lambda before=before: done(contestant.redis) > before)
            at = time.monotonic() + moments.uniform(0.02, LATEST_SECONDS)
            load_until(contestant, lambda at=at: time.monotonic() >= at)
            busy += waiting(contestant.redis) > 0
            process.send_signal(number)
            process.wait(60)
    return busy


def load_until(contestant: Contestant, is_over: Callable[[], bool]) -> None:
    """Keep `low` full, and let a few jobs come to `high` now and then, until it is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    next_high = 0.0
    while not is_over():
        if time.monotonic() > deadline:
            raise AssertionError(f"{contestant.name} does no job")
        if contestant.redis.llen("rq:queue:low") < FULL:
            contestant.make("low", FULL // 2)
        if time.monotonic() > next_high and not contestant.redis.llen("rq:queue:high"):
            contestant.make("high", FEW)
            next_high = time.monotonic() + HIGH_SECONDS
        time.sleep(0.005)


def done(redis: Redis) -> int:
    return sum(redis.zcard(f"rq:finished:{queue}") for queue in QUEUES)


def waiting(redis: Redis) -> int:
    return sum(redis.llen(f"rq:queue:{queue}") for queue in QUEUES)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--restarts", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--signal", choices=["TERM", "KILL", "both"], default="both")
    options.add_argument("--only", choices=["ours", "rq"], help="leave the other one out")
    asked = options.parse_args()
    call_command("migrate", verbosity=0)
    logging.getLogger("rq").setLevel(logging.ERROR)  # it names each job that it declares failed
    heads = ("worker", "signal", "restarts", "busy", "jobs", "completed", "nowhere", "failed")
    print(ROW.format(*heads, "LOST", "ran again"), flush=True)
    lost_by_us = 0
    expiring: list[tuple[Stock, About]] = []
    for name in ("TERM", "KILL") if asked.signal == "both" else (asked.signal,):
        for one in contestants(name, asked.only):
            moments = Random(asked.seed)  # noqa: S311
            busy = restart(one, signal.Signals[f"SIG{name}"], asked.restarts, moments)
            one.drain()
            about = (one.name, f"SIG{name}", asked.restarts, busy)
            if isinstance(one, Stock):
                expiring.append((one, about))
            else:
                lost_by_us += tell(about, one.count())
    if expiring:
        time.sleep(RQ_EXPIRY_SECONDS)
    for stock, about in expiring:
        tell(about, stock.count())
    sys.exit(1 if lost_by_us else 0)


def contestants(signal_name: str, only: str | None) -> Iterator[Contestant]:
    """Yield the workers to try, each of rq's with a Redis database of its own."""
    if only != "rq":
        yield Ours()
    if only != "ours":
        first = 1 if signal_name == "TERM" else 3
        for database, name in enumerate(("rq.SimpleWorker", "rq.Worker"), start=first):
            url = f"{os.environ['REDIS_URL'].rpartition('=')[0]}={database}"
            redis = Redis.from_url(url)
            redis.flushdb()
            yield Stock(name, redis, url)


def tell(about: About, count: Tally) -> int:
    lost = count.nowhere + count.failed
    counted = (count.jobs, count.completed, count.nowhere, count.failed, lost, count.ran_again)
    print(ROW.format(*about, *counted).rstrip(), flush=True)
    return lost


if __name__ == "__main__":
    main()
