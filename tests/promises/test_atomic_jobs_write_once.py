"""P4: at least once; and with `atomic = True` a job's own writes happen exactly once."""

from __future__ import annotations

import signal

import pytest
from django.contrib.auth.models import Permission

from jobs.models import JobAttempt
from tests import wait
from tests.jobs import Atomic, AtomicSleep
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def written(job: object) -> int:
    return Permission.objects.filter(codename=f"written_{job.id}").count()


def test_failed_attempts_leave_no_writes(workers: Workers) -> None:
    jobs = Atomic.dispatch_many([{"failing_attempts": number % 3} for number in range(9)])

    workers.start("default")

    for job in jobs:
        wait.until_status(job, "completed")
        assert written(job) == 1


def test_a_kill_in_the_middle_leaves_no_writes(workers: Workers) -> None:
    job = AtomicSleep.dispatch()
    worker = workers.start("default")
    wait.until("its write", lambda: "halfway" in str(wait_for_progress(job)))

    for process in worker.tree():
        process.send_signal(signal.SIGKILL)

    wait.until("the end of the first attempt", lambda: JobAttempt.objects.filter(job=job).exists())
    assert written(job) == 0
    wait.until_status(job, "completed", limit_seconds=2 * wait.LIMIT_SECONDS)
    assert written(job) == 1


def wait_for_progress(job: object) -> object:
    job.refresh_from_db()
    return job.progress
