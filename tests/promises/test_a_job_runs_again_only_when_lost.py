"""P4: a job runs at least once; and again only where an attempt of it was lost."""

from __future__ import annotations

import signal
import time
from random import Random

import pytest
from redis import Redis

from jobs.broker import keys
from jobs.dispatch import outbox
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process]

QUICK = {"lease": 2.0, "heartbeat": 0.4}


def test_an_id_that_is_pushed_again_and_again_runs_once(workers: Workers, redis: Redis) -> None:
    ended = Echo.dispatch(value="ended")
    workers.run("default", "--burst")
    jobs = Sleep.dispatch_many([{"seconds": 0.02}] * 20)
    for _ in range(3):
        outbox.push([ended, *jobs])
    assert redis.llen(keys.queue("default")) == 20 + 3 * 21

    workers.run("default", "--burst", "--concurrency", "2")

    runs = list(JobAttempt.objects.values_list("job_id", flat=True))
    assert len(runs) == len(set(runs)), "ran twice"
    assert JobStatus.objects.filter(status="completed", attempt=1, claim=1).count() == 21


def test_kills_under_load_lose_no_job_and_say_what_ran_again(workers: Workers) -> None:
    Echo.dispatch_many([{"value": str(number)} for number in range(300)], queue="low")
    Sleep.dispatch_many([{"seconds": 0.02}] * 100, queue="high")
    moments = Random(4)

    for _ in range(5):
        before = JobAttempt.objects.count()
        worker = workers.start("high", "low", "--concurrency", "2", **QUICK)
        wait.until("a job of it", lambda before=before: JobAttempt.objects.count() > before)
        time.sleep(moments.uniform(0, 0.3))  # the moment is what is drawn, nothing is waited for
        worker.signal(signal.SIGKILL)
        worker.wait()
    workers.start("high", "low", "--concurrency", "2", **QUICK)

    wait.until("all completed", lambda: not JobStatus.objects.exclude(status="completed").exists())
    lost = JobAttempt.objects.exclude(outcome="completed")
    assert set(lost.values_list("error_class", flat=True)) <= {"WorkerLost"}
    assert JobAttempt.objects.count() == 400 + lost.count()
