"""P6: SIGTERM loses nothing and, inside the grace, interrupts nothing."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.broker import keys
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process]

JOBS = 300


def completed() -> int:
    return JobStatus.objects.filter(status="completed").count()


def test_restarts_under_load_lose_no_job_and_run_none_twice(workers: Workers) -> None:
    Echo.dispatch_many([{"value": str(number)} for number in range(JOBS)], queue="low")
    Sleep.dispatch_many([{"seconds": 0.02}] * 40, queue="high")

    for _ in range(4):
        before = completed()
        worker = workers.start("high", "low", "--concurrency", "2")
        wait.until("some more jobs done", lambda before=before: completed() > before + 5)
        assert worker.stop() == 0
    workers.run("high", "low", "--burst")

    assert completed() == JOBS + 40
    assert JobAttempt.objects.count() == JOBS + 40
    assert not JobAttempt.objects.exclude(outcome="completed").exists()


def test_a_stopped_worker_leaves_nothing_claimed(workers: Workers, redis: Redis) -> None:
    Sleep.dispatch_many([{"seconds": 0.2}] * 10)
    worker = workers.start("default", "--concurrency", "2")
    wait.until("the first job", lambda: completed() > 0)

    worker.stop()

    assert redis.hgetall(keys.claims(worker.row.id)) == {}
    assert not JobStatus.objects.filter(status="started").exists()
    waiting = JobStatus.objects.filter(status="queued").count()
    assert redis.llen(keys.queue("default")) == waiting
