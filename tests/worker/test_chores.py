"""What a worker does beside its jobs it does every few seconds, not once a job: from outside."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import pytest
from django.db import connection
from redis import Redis

from jobs.broker import lost
from jobs.models import JobStatus
from tests import wait
from tests.jobs import Echo
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.redis, pytest.mark.django_db(transaction=True)]

JOBS = 300
# What jobs that run one by one cost: one commit settles one and starts the next, one round trip
# tells of one's end and takes the next.
COMMITS = JOBS
ROUND_TRIPS = JOBS
# Duties, heartbeats, looks into empty queues: measured 7 and 8 a second; and what both ends take.
CHORES_A_SECOND = 25
AT_BOTH_ENDS = 60


@dataclass(frozen=True, slots=True)
class Count:
    """What the servers have counted so far."""

    at: float
    commits: int
    round_trips: int
    heartbeats: int  # and whatever else is written on the workers' rows


def count(redis: Redis) -> Count:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_force_next_flush()"
        )  # of this connection; closed ones have told
        cursor.execute("SELECT 1")
        cursor.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        (commits,) = cursor.fetchone()
        cursor.execute("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'job_workers'")
        (heartbeats,) = cursor.fetchone()
    round_trips = int(redis.info("stats")["total_reads_processed"])
    return Count(time.monotonic(), commits, round_trips, heartbeats)


def test_nothing_but_the_jobs_own_is_done_once_a_job(workers: Workers, redis: Redis) -> None:
    # A leader that meets an empty Redis compares all rows and tells the dashboard anew.
    first = workers.start("default")
    wait.until("the check of an empty Redis", lambda: lost.is_checked(redis))
    first.stop()
    before = count(redis)
    worker = workers.start("default", heartbeat=5.0, lease=30.0, leader_lease=10.0, batch_size=1)
    Echo.dispatch_many([{"value": "x"}] * JOBS)

    looks = itertools.count(1)
    done = JobStatus.objects.filter(status="completed")
    wait.until("all done", lambda: next(looks) and done.count() == JOBS)
    worker.stop()  # what a session has done is told when it ends, at the latest

    after = count(redis)
    chores = AT_BOTH_ENDS + CHORES_A_SECOND * (after.at - before.at)
    beside = {
        "commits": after.commits - before.commits - next(looks) - COMMITS,
        "round trips": after.round_trips - before.round_trips - ROUND_TRIPS,
        "heartbeats": after.heartbeats - before.heartbeats,
    }
    too_many = {what: many for what, many in beside.items() if many > min(chores, JOBS)}
    assert too_many == {}, f"beside the jobs' own; up to {chores:.0f} would be a worker's chores"
