"""P4: at least once; and with `atomic = True` a job's own writes happen exactly once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from datetime import timedelta
from random import Random

import pytest
from django.contrib.auth.models import Permission

from jobs.errors import WorkerLost
from jobs.lifecycle import control
from jobs.maintenance import rescue
from jobs.models import JobAttempt, JobStatus
from tests import others, wait
from tests.jobs import (
    Atomic,
    AtomicHook,
    AtomicSleep,
    AtomicSteps,
    AtomicTrouble,
    AtomicWait,
)
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


def test_kills_at_any_moment_leave_both_writes_and_the_end_or_none(workers: Workers) -> None:
    jobs = AtomicSteps.dispatch_many([{}] * 60)
    worker = workers.start("default", "--concurrency", "2", heartbeat=0.1)
    rand = Random(8)

    for _ in range(15):
        runners = wait.until(
            "both runners", lambda: len(worker.runners()) == 2 and worker.runners()
        )
        time.sleep(rand.uniform(0.01, 0.12))  # the moment of the kill, not a wait
        with contextlib.suppress(ProcessLookupError):
            os.kill(rand.choice(runners), signal.SIGKILL)

    for job in jobs:
        wait.until_status(job, "completed", "failed")
        is_done = job.status == "completed"
        assert [written(job), again(job)] == [is_done, is_done]
    # A job that three kills have hit is given up; the others were done in spite of theirs.
    assert JobAttempt.objects.filter(error_class="WorkerLost").exists()
    assert sum(job.status == "completed" for job in jobs) > 50


def again(job: JobStatus) -> int:
    return Permission.objects.filter(codename=f"again_{job.id}").count()


TROUBLES = {
    "its result is too large": "ResultTooLarge",
    "its result is no JSON": "InvalidResult",
    "PostgreSQL refuses its data": "DataError",
    "it exits": "SystemExit",
    "it takes too long": "TimedOut",
}


def test_whatever_goes_wrong_takes_the_writes_with_it(workers: Workers) -> None:
    jobs = {what: AtomicTrouble.dispatch(what=what) for what in TROUBLES}

    workers.start("default")

    for what, job in jobs.items():
        wait.until_status(job, "failed")
        assert JobAttempt.objects.get(job=job).error_class == TROUBLES[what]
        assert written(job) == 0


def test_a_cancel_takes_the_writes_with_it(workers: Workers) -> None:
    job = AtomicSleep.dispatch()
    workers.start("default")
    wait.until("its write", lambda: "halfway" in str(wait_for_progress(job)))

    control.cancel([job.id], by="alice")

    wait.until_status(job, "cancelled")
    assert written(job) == 0


def test_who_was_rescued_in_its_transaction_leaves_nothing_of_it(workers: Workers) -> None:
    worker = workers.start("default")
    with others.elsewhere() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(4711)")
        job = AtomicWait.dispatch(lock=4711)
        wait.until("its write", lambda: "halfway" in str(wait_for_progress(job)))
        # As the leader does to a worker that was silent for a lease.
        assert rescue.settle_lost([job], WorkerLost("silent"))
        JobStatus.objects.filter(id=job.id).update(due_at=job.due_at + timedelta(hours=1))
        cursor.execute("COMMIT")

        wait.until("its word", lambda: "has moved on since claim" in worker.log)
    assert written(job) == 0, "a stale attempt wrote"
    job.refresh_from_db()
    assert (job.status, job.attempt, job.losses) == ("retrying", 1, 1)


def test_what_it_leaves_for_the_commit_is_done_once(workers: Workers) -> None:
    job = AtomicHook.dispatch()

    workers.start("default")

    wait.until_status(job, "completed")
    hooks = wait.until(
        "its hook", lambda: list(Permission.objects.filter(codename__startswith="hook of"))
    )
    assert [hook.codename for hook in hooks] == [f"hook of {job.id} 2"]
