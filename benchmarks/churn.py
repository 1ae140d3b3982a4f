"""How many dead rows a day of jobs leaves, and how large it makes the tables.

Dispatches, starts, settles and prunes jobs as fast as one process can, while a backlog stands, once
with PostgreSQL's own settings for vacuuming these tables and once with ours. A day's jobs take some
minutes here, so the server looks for what to vacuum every second instead of every minute.

On servers of its own, whose settings it changes:

    manage.py devstack exec --fresh --folder var/churn -- python benchmarks/churn.py
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.setdefault("LOG_LEVEL", "ERROR")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks import backlog_questions, backlog_rows  # noqa: E402
from jobs.broker import client  # noqa: E402
from jobs.maintenance import prune, queued  # noqa: E402
from jobs.maintenance.prune import Selection  # noqa: E402

BATCH = 64
SAMPLES = 20
KEPT = timedelta(
    seconds=20
)  # ended jobs; of a day that takes five minutes it is an hour and a half
OPTIONS = ("vacuum_threshold", "vacuum_scale_factor", "analyze_threshold", "analyze_scale_factor")
RESET = ", ".join(f"autovacuum_{name}" for name in OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The tables at one moment."""

    jobs: int
    dead: int
    live: int
    heap_mb: float
    index_mb: float
    attempts_dead: int
    vacuums: int
    relay_ms: float  # the relay's look at the oldest queued jobs

    def __str__(self) -> str:
        return (
            f"{self.jobs:>10,}{self.live:>11,}{self.dead:>10,}{self.heap_mb:>9.0f}"
            f"{self.index_mb:>9.0f}{self.attempts_dead:>10,}{self.vacuums:>9}{self.relay_ms:>9.2f}"
        )


HEAD = f"{'jobs':>10}{'live':>11}{'dead':>10}{'heap MB':>9}{'index MB':>9}{'attempts':>10}"
HEAD += f"{'vacuums':>9}{'relay ms':>9}"


def sample(jobs: int) -> Sample:
    begun = time.perf_counter()
    queued.overdue(limit=200)
    relay_ms = (time.perf_counter() - begun) * 1_000
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            """
            SELECT s.n_dead_tup, s.n_live_tup, pg_relation_size(s.relid) / 1e6,
                pg_indexes_size(s.relid) / 1e6, a.n_dead_tup, s.autovacuum_count
            FROM pg_stat_user_tables s, pg_stat_user_tables a
            WHERE s.relname = 'job_statuses' AND a.relname = 'job_attempts'
            """
        )
        dead, live, heap, index, attempts, vacuums = cursor.fetchone()
    return Sample(
        jobs=jobs,
        dead=dead,
        live=live,
        heap_mb=float(heap),
        index_mb=float(index),
        attempts_dead=attempts,
        vacuums=vacuums,
        relay_ms=relay_ms,
    )


def day(jobs: int) -> list[Sample]:
    """Run so many jobs through their life; return what the tables looked like meanwhile."""
    samples: list[Sample] = []
    every = max(BATCH, jobs // SAMPLES)
    for done in range(BATCH, jobs + BATCH, BATCH):
        backlog_questions.run(BATCH)
        if done % 8_192 < BATCH:
            for lane in prune.lanes(Selection(older_than=KEPT)):
                for _ in prune.batches(lane):
                    pass
            client.for_work().flushdb()  # nobody takes what was pushed
        if done % every < BATCH:
            samples.append(sample(done))
            print(samples[-1], flush=True)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2_000_000)
    parser.add_argument("--queued", type=int, default=1_000_000, help="the backlog that stands")
    parser.add_argument("--only", choices=["default", "ours"], help="one of the two")
    options = parser.parse_args()
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        cursor.execute("SELECT pg_reload_conf()")
    worst: dict[str, Sample] = {}
    for name in [options.only] if options.only else ["default", "ours"]:
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE job_statuses, job_attempts, job_schedule_runs")
            if name == "default":
                for table in backlog_rows.TABLES:
                    cursor.execute(f"ALTER TABLE {table} RESET ({RESET})")
        backlog_rows.fill(finished=0, queued=options.queued)
        backlog_rows.come_to_rest()
        backlog_questions.prepare()
        print(f"{name}: {options.jobs:,} jobs, {options.queued:,} queued stand\n{HEAD}")
        begun = time.monotonic()
        samples = day(options.jobs)
        worst[name] = max(samples, key=lambda one: one.dead)
        print(f"{options.jobs / (time.monotonic() - begun):,.0f} jobs/s\n")
        if name == "default":
            call_command("migrate", "jobs", "0005", verbosity=0)
    for name, one in worst.items():
        print(
            f"{name:8} at most {one.dead:,} dead rows, {one.dead / one.live:.1%} of the live ones"
        )


if __name__ == "__main__":
    main()
