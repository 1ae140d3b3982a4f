"""What the prune costs those who dispatch meanwhile: 200 dispatches a second, timed in turns.

A table of ended jobs with their attempts, all past their retention, is pruned as the duty does it,
while jobs are dispatched at an even pace and a worker runs them. Turns without and with the prune
alternate in one run, so whatever else the machine does falls on both.

On servers of its own:

    manage.py devstack exec --fresh --folder var/bench -- python benchmarks/prune.py --rows 1000000

Ends with 1 where the p99 with the prune is twice that without, or worse.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.setdefault("LOG_LEVEL", "WARNING")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from jobs.broker import client  # noqa: E402
from jobs.maintenance import prune  # noqa: E402
from jobs.models import JobStatus  # noqa: E402
from jobs.statuses import Status  # noqa: E402
from tests import jobs  # noqa: E402

FORK = multiprocessing.get_context("fork")
KEPT_SECONDS = 10 * 365 * 86_400.0  # the worker's own duty finds nothing to delete


@dataclass(slots=True)
class Turns:
    """What all turns of one kind measured."""

    waits: list[float] = field(default_factory=list)  # of each dispatch, in milliseconds
    p99s: list[float] = field(default_factory=list)  # of each turn
    seconds: float = 0.0
    run: int = 0  # jobs that the worker has completed

    def __str__(self) -> str:
        p50, p99 = quantile(self.waits, 0.5), quantile(self.waits, 0.99)
        return (
            f"p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   most {max(self.waits):6.1f} ms   "
            f"{len(self.waits)} dispatches in {len(self.p99s)} turns, "
            f"{len(self.waits) / self.seconds:.0f}/s, {self.run / self.seconds:.0f}/s run"
        )


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def fill(rows: int) -> None:
    """Insert `rows` ended jobs, a tenth of them failed, each with an attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts,
                claim, losses, interruptions, created_at, updated_at, due_at, started_at,
                finished_at, cancel_requested_by, cancel_reason, result, error, tags, held_by,
                schedule)
            SELECT gen_random_uuid(), (array['ImportCsv', 'SyncOrders', 'SendMail'])[1 + g %% 3],
                'etl', '{"source": "https://example.com/airports.csv"}',
                CASE WHEN g %% 10 = 0 THEN 'failed' ELSE 'completed' END, 1, 5, 1, 0, 0, at, at, at,
                at, at, '', '', '{"rows": 28000}', '', '{}', '', ''
            FROM generate_series(1, %s) AS g,
                LATERAL (SELECT now() - interval '90 days' + g * interval '1 s' AS at) AS moment
            """,
            [rows],
        )
        cursor.execute("""
            INSERT INTO job_attempts (job_id, number, claim, worker_name, started_at, ended_at,
                outcome, status, error_class, message, traceback)
            SELECT id, 1, 1, 'bench', started_at, finished_at, status, status, '', '',
                CASE status WHEN 'failed' THEN repeat('  File "jobs.py", line 12', 40) ELSE '' END
            FROM job_statuses
        """)
        cursor.execute("VACUUM ANALYZE job_statuses")
        cursor.execute("VACUUM ANALYZE job_attempts")
        cursor.execute("CHECKPOINT")


def work(go: Event) -> None:
    """Prune as the duty does, but only while `go` is set."""

    def rest(seconds: float) -> bool:
        time.sleep(seconds)
        go.wait()
        return True

    go.wait()
    prune.prune(rest)


@contextmanager
def worker(runners: int) -> Iterator[None]:
    kept = {f"retention_{status}": KEPT_SECONDS for status in ("completed", "failed", "cancelled")}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "rqworker", "default", f"--concurrency={runners}"],
        env={**os.environ, "TEST_JOBS_SECONDS": json.dumps(kept)},
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def dispatch(orders: Connection, rate: float) -> None:
    """Dispatch at an even pace for as many seconds as each order says; answer with the waits."""
    while True:
        seconds = orders.recv()
        waits = []
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            called = time.monotonic()
            jobs.Echo.dispatch(value="x")
            waits.append((time.monotonic() - called) * 1000)
        orders.send(waits)


@dataclass(slots=True)
class Dispatchers:
    """Several processes that dispatch at once, as those of a web server do."""

    orders: list[Connection]

    def take_turn(self, turns: Turns, seconds: float) -> None:
        """Have all of them dispatch for so many seconds, and note how it went."""
        begun = time.monotonic()
        ran = jobs_run()
        for order in self.orders:
            order.send(seconds)
        waits = [wait for order in self.orders for wait in order.recv()]
        turns.seconds += time.monotonic() - begun
        turns.run += jobs_run() - ran
        turns.waits += waits
        turns.p99s.append(quantile(waits, 0.99))


def jobs_run() -> int:
    return JobStatus.objects.filter(job_class="Echo", status=Status.COMPLETED).count()


def started(rate: float, count: int) -> Dispatchers:
    orders = []
    for _ in range(count):
        ours, its = FORK.Pipe()
        FORK.Process(target=dispatch, args=(its, rate / count), daemon=True).start()
        orders.append(ours)
    return Dispatchers(orders)


def measure(
    options: argparse.Namespace, dispatchers: Dispatchers, go: Event
) -> tuple[Turns, Turns]:
    without, with_prune = Turns(), Turns()
    dispatchers.take_turn(Turns(), options.turn)  # warms up
    deadline = time.monotonic() + options.limit
    left = old_rows()
    while left and time.monotonic() < deadline:
        dispatchers.take_turn(without, options.turn)
        begun = time.monotonic()
        go.set()
        # The last turn is pruned for a part of it only.
        dispatchers.take_turn(with_prune, options.turn)
        go.clear()
        took, before, left = time.monotonic() - begun, left, old_rows()
        print(
            f"turn {len(with_prune.p99s):3}   p99 without {without.p99s[-1]:6.2f} ms   "
            f"with {with_prune.p99s[-1]:6.2f} ms   {(before - left) / took:6.0f} pruned/s",
            flush=True,
        )
    return without, with_prune


def old_rows() -> int:
    return sum(prune.count(lane) for lane in prune.lanes(prune.Selection()))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=200.0, help="dispatches a second")
    parser.add_argument("--dispatchers", type=int, default=4, help="processes that dispatch")
    parser.add_argument("--runners", type=int, default=2)
    parser.add_argument("--turn", type=float, default=5.0, help="seconds")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds; then it ends")
    return parser.parse_args()


def main() -> int:
    options = parsed()
    call_command("migrate", verbosity=0)
    client.for_work().flushdb()
    fill(options.rows)
    connection.close()
    go = FORK.Event()
    FORK.Process(target=work, args=(go,), daemon=True).start()
    dispatchers = started(options.rate, options.dispatchers)
    with worker(options.runners):
        without, with_prune = measure(options, dispatchers, go)
    ratio = quantile(with_prune.waits, 0.99) / quantile(without.waits, 0.99)
    by_turn = statistics.median(b / a for a, b in zip(without.p99s, with_prune.p99s, strict=False))
    print(f"without  {without}\nwith     {with_prune}")
    print(f"{options.rows - old_rows():,} of {options.rows:,} rows pruned")
    print(f"p99 with / without: {ratio:.2f} of all, {by_turn:.2f} the median of turns (bound: 2)")
    return int(ratio >= 2)  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(main())
