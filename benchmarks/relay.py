"""How late the relay is when many jobs come due at once, and what a pass costs on a full table.

Lateness: 10,000 scheduled jobs are due at one moment. Again and again is counted how many wait
still; the n-th job is as late as the look that first sees n of them gone. Once where nobody takes
jobs of that queue, until they stand in Redis; once beside a worker that runs them, until their rows
are queued.

Cost: one pass of each of the relay's duties on an empty table, and on one with a million queued
jobs whose entries are all in Redis, in the same run: statements, Redis commands, milliseconds, and
the plan of every statement.

On servers of its own:

    manage.py devstack exec --fresh --folder var/bench -- python benchmarks/relay.py
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.setdefault("LOG_LEVEL", "WARNING")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from jobs.broker import client, keys  # noqa: E402
from jobs.maintenance import relay  # noqa: E402
from jobs.models import JobStatus, clock  # noqa: E402

LOOK_SECONDS = 0.02
QUEUES = ("high", "default", "etl", "low")
PASSES = 20
PUSHED_AT_ONCE = 5_000


@contextmanager
def worker(*queues: str) -> Iterator[None]:
    """Run a worker, as in production: heartbeat 5 s, lease 30 s."""
    seconds = '{"heartbeat": 5, "lease": 30}'
    process = subprocess.Popen(
        [sys.executable, "manage.py", "rqworker", *queues],
        env={**os.environ, "PYTHONPATH": ".", "TEST_JOBS_SECONDS": seconds},
    )
    try:
        while not query("SELECT count(*) FROM job_leases WHERE expires_at > now()"):
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def query(sql: str, *params: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


def insert(count: int, *, status: str, queues: tuple[str, ...], due: str, updated: str) -> None:
    """Insert `count` rows; `due` and `updated` are SQL, of the row's number n."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts,
                claim, losses, interruptions, created_at, updated_at, due_at, cancel_requested_by,
                cancel_reason, error, tags, held_by, schedule)
            SELECT gen_random_uuid(), 'Echo', (%s::text[])[1 + n %% %s], '{{"value": "x"}}', %s,
                0, 5, 0, 0, 0, now(), {updated}, {due}, '', '', '', '{{}}', '', ''
            FROM generate_series(1, %s) AS n
            """,
            [list(queues), len(queues), status, count],
        )


def wipe() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE job_statuses, job_attempts, job_workers, job_leases CASCADE")
    client.for_work().flushdb()


# --- Lateness ---


def lateness(count: int, *served: str) -> list[float]:
    """Return how late each of `count` jobs in queue `etl` was moved, by a worker of `served`."""
    wipe()
    relay.push_lost()  # the relay has seen this Redis whole
    with worker(*served):
        # Somewhere between two of the relay's looks, another place each round.
        wait = timedelta(seconds=2.0 + statistics.NormalDist().cdf(time.time() % 6 - 3))
        due_at = clock.read() + wait
        insert(count, status="scheduled", queues=("etl",), due=f"'{due_at}'", updated="now()")
        late: list[float] = []
        while len(late) < count:
            time.sleep(LOOK_SECONDS)
            if "etl" in served:
                left = query("SELECT count(*) FROM job_statuses WHERE status = 'scheduled'")
            else:
                left = count - client.for_work().llen(keys.queue("etl"))
            seconds = (clock.read() - due_at).total_seconds()
            late += [seconds] * (count - left - len(late))
    return late


def show_lateness(count: int, rounds: int) -> None:
    print(f"Lateness of {count:,} jobs due at one moment, in seconds")
    for label, served in (("nobody takes them", ("low",)), ("a worker runs them", ("etl",))):
        every = []
        for number in range(rounds):
            late = lateness(count, *served)
            every += late
            print(f"  {label:20} round {number + 1}  {spread(late)}")
        print(f"  {label:20} all      {spread(every)}")


def spread(late: list[float]) -> str:
    cuts = statistics.quantiles(late, n=100)
    return f"first {min(late):.2f}  p50 {cuts[49]:.2f}  p99 {cuts[98]:.2f}  last {max(late):.2f}"


# --- Cost of a pass ---


def passes(verb: Callable[[], object]) -> dict[str, float]:
    """Return what one pass costs, the median of many."""
    verb()  # warm
    statements: list[str] = []

    def note(execute, sql, params, many, context):  # noqa: ANN001, ANN202
        statements.append(sql)
        return execute(sql, params, many, context)

    redis = client.for_work()
    redis.config_resetstat()
    times = []
    with connection.execute_wrapper(note):
        for _ in range(PASSES):
            begun = time.perf_counter()
            verb()
            times.append((time.perf_counter() - begun) * 1_000)
    calls = {
        name.removeprefix("cmdstat_"): stat["calls"]
        for name, stat in redis.info("commandstats").items()
        if name.removeprefix("cmdstat_") not in {"info", "config|resetstat"}
    }
    return {
        "ms": statistics.median(times),
        "worst ms": max(times),
        "statements": len(statements) / PASSES,
        "Redis commands": sum(calls.values()) / PASSES,
    }


def fill(count: int) -> None:
    """Insert queued rows, an hour old, and put their entries into Redis."""
    client.for_work().flushdb()
    insert(
        count,
        status="queued",
        queues=QUEUES,
        due="now() - interval '1 day' + n * interval '10 milliseconds'",
        updated="now() - interval '1 hour'",
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE job_statuses")
    redis = client.for_work()
    for queue in QUEUES:
        rows = JobStatus.objects.filter(queue=queue).order_by("due_at", "id")
        ids = rows.values_list("id", flat=True).iterator(chunk_size=PUSHED_AT_ONCE)
        chunk: list[str] = []
        for job_id in ids:
            chunk.append(str(job_id))
            if len(chunk) == PUSHED_AT_ONCE:
                put(redis, queue, chunk)
                chunk = []
        put(redis, queue, chunk)


def put(redis: client.Client, queue: str, ids: list[str]) -> None:
    with redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hset(keys.entry(job_id), "claim", 0)
        if ids:
            pipe.rpush(keys.queue(queue), *ids)
        pipe.execute()


def show_cost(count: int) -> None:
    verbs = {"promote": relay.promote, "push lost": relay.push_lost}
    costs = []
    sizes = [0, min(count, 5_000), count]
    for size in sizes:
        wipe()
        fill(size)
        relay.push_lost()  # the relay has seen this Redis whole
        costs.append({name: passes(verb) for name, verb in verbs.items()})
    print(f"Cost of a pass with nothing to do; queued jobs: {sizes}")
    for name in verbs:
        for what in costs[0][name]:
            values = [cost[name][what] for cost in costs]
            ratio = values[2] / values[1] if values[1] else float("nan")
            shown = "  ".join(f"{value:9.2f}" for value in values)
            print(f"  {name:10} {what:15} {shown}   last/middle {ratio:5.2f}")
    for name, verb in verbs.items():
        for plan in plans(verb):
            print(f"  {name}: {plan}")


def plans(verb: Callable[[], object]) -> list[str]:
    """Return for each statement which indexes it reads, how many rows and pages, and how long."""
    asked: list[tuple[str, object]] = []

    def note(execute, sql, params, many, context):  # noqa: ANN001, ANN202
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        verb()
    return [explain(sql, params) for sql, params in asked]


def explain(sql: str, params: object) -> str:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
        cursor.execute("ROLLBACK")
    nodes = list(walk(found[0]["Plan"]))
    scans = sorted(
        {
            f"{node['Node Type']} {node.get('Index Name', '')} on {node['Relation Name']}"
            for node in nodes
            if "Relation Name" in node
        }
    )
    pages = found[0]["Plan"]["Shared Hit Blocks"] + found[0]["Plan"]["Shared Read Blocks"]
    first = " ".join(sql.split())[:60]
    return f"{found[0]['Execution Time']:7.2f} ms {pages:6} pages  {first}...  {'; '.join(scans)}"


def walk(node: dict) -> Iterator[dict]:
    yield node
    for below in node.get("Plans", []):
        yield from walk(below)


def show_refill(count: int) -> None:
    client.for_work().flushdb()
    turns: list[float] = []
    begun = time.perf_counter()

    def go_on() -> bool:
        turns.append(time.perf_counter())
        return True

    pushed = relay.push_lost(go_on)
    seconds = time.perf_counter() - begun
    gaps = [after - before for before, after in itertools.pairwise(turns)]
    print(
        f"After a flush: {pushed:,} of {count:,} jobs pushed again in {seconds:.1f} s "
        f"({pushed / seconds:,.0f}/s); the other duties had their turn every "
        f"{max(gaps, default=0):.2f} s at the longest"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--due", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000, help="queued rows; 0: skip")
    parser.add_argument("--refill", action="store_true", help="flush Redis, and rebuild it")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    threading.current_thread().name = "benchmark"
    if options.due:
        show_lateness(options.due, options.rounds)
    if options.rows:
        show_cost(options.rows)
        if options.refill:
            show_refill(options.rows)


if __name__ == "__main__":
    main()
