from __future__ import annotations

import signal
from uuid import UUID

import pytest
from django.db import connection, transaction
from redis import Redis

from jobs.broker import claim, keys
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 3.0, "heartbeat": 0.5}


def listed(redis: Redis) -> list[str]:
    return [entry.decode() for entry in redis.lrange(keys.queue("default"), 0, -1)]


def ids(jobs: list[JobStatus]) -> list[str]:
    return [str(job.id) for job in jobs]


def backends_of(worker_id: UUID) -> int:
    with connection.cursor() as cursor:
        # Within a transaction it would answer what it answered before.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
            [f"jobsite {worker_id} %"],
        )
        return cursor.fetchone()[0]


def all_completed() -> bool:
    return not JobStatus.objects.exclude(status="completed").exists()


def test_what_was_claimed_and_not_started_runs_first_after_a_kill(workers: Workers, redis: Redis):
    jobs = [Echo.dispatch(value=str(number)) for number in range(5)]
    with transaction.atomic(), connection.cursor() as cursor:
        # Nobody can start anything: each runner hangs between its claim and its start.
        cursor.execute("LOCK TABLE job_statuses IN SHARE ROW EXCLUSIVE MODE")
        dead = workers.start("default", "--concurrency", "3", **QUICK)
        row = dead.row
        wait.until("three claims", lambda: len(claim.held(redis, row.id)) == 3)
        dead.signal(signal.SIGKILL)
        dead.wait()
        # PostgreSQL would finish a start for a client that is no more.
        wait.until("the end of its backends", lambda: not backends_of(row.id))
    assert listed(redis) == ids(jobs[3:])

    workers.start("high", **QUICK)  # does the duties
    wait.until("the claimed at the head, in order", lambda: listed(redis) == ids(jobs))
    workers.start("default", **QUICK)

    wait.until("all completed", all_completed)
    started = JobStatus.objects.order_by("started_at").values_list("id", flat=True)
    assert list(started) == [job.id for job in jobs]
    assert JobStatus.objects.filter(attempt=1, losses=0).count() == len(jobs)
    assert JobAttempt.objects.count() == len(jobs)


def test_a_batch_that_was_claimed_in_one_step_goes_back_in_order(workers: Workers, redis: Redis):
    jobs = [Echo.dispatch(value=str(number)) for number in range(6)]
    dead = workers.start("high", **QUICK)
    row = dead.row
    dead.signal(signal.SIGKILL)
    dead.wait()
    taken = claim.take(redis, ["high", "default"], row.id, count=4)
    assert [entry for _, entry in taken.entries] == ids(jobs[:4])

    workers.start("high", **QUICK)

    wait.until("the claimed at the head, in order", lambda: listed(redis) == ids(jobs))
    assert claim.held(redis, row.id) == {}
