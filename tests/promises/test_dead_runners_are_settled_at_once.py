"""P3: whatever kills a runner, its supervisor settles its job at once, and only that."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection

from jobs.broker import claim, client
from jobs.broker import lost as broker_lost
from jobs.dispatch import outbox
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Crash, Echo, Sleep, WantTooMuchMemory
from tests.make import make_job
from tests.refusals import refused
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# So long that nobody but the supervisor, at the death, can have settled anything.
LONG = {"lease": 600.0}


@contextmanager
def locked(job: JobStatus) -> Iterator[None]:
    """Hold the job's row."""
    other = connection.copy("other")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [job.id])
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()


@contextmanager
def held_up(job: JobStatus) -> Iterator[None]:
    """Hold up the job's start, in the middle of its statement."""
    other = connection.copy("other")
    condition = f"NEW.status = 'started' AND NEW.id = '{job.id}'"
    wait_here = "PERFORM pg_advisory_xact_lock(1)"
    with refused(condition, by=wait_here, when="UPDATE ON job_statuses"):
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(1)")
                yield
        finally:
            other.close()


def pid_of_whoever_waits_for_a_lock() -> int:
    """Return the pid of the runner whose start has to wait for the lock."""

    def look() -> tuple[str] | None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND application_name LIKE 'jobsite %' AND datname = current_database()"
            )
            row: tuple[str] | None = cursor.fetchone()
            return row

    (name,) = wait.until("a runner that waits", look)
    return int(name.split()[-1])


def pid_of_runner(worker: Worker, job: JobStatus) -> int:
    def look() -> list[int]:
        return [one["pid"] for one in worker.row.runners if one.get("job_id") == str(job.id)]

    return wait.until("its runner", look)[0]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("killed", "The runner was killed by SIGKILL"),
        ("left", "The runner's process exited with code 3 in the middle of the job"),
        ("fault", "The runner was killed by SIGSEGV"),
    ],
    ids=["killed", "left", "fault"],
)
def test_its_attempt_says_how_it_died_and_other_jobs_go_on(
    workers: Workers, how: str, says: str
) -> None:
    workers.start("default", "--concurrency", "2", heartbeat=60.0, **LONG)
    other = Sleep.dispatch(seconds=3)
    wait.until_status(other, "started")

    job = Crash.dispatch(how=how)

    wait.until_status(job, "failed", limit_seconds=15)
    lost = JobAttempt.objects.get(job=job)
    assert lost.ended_at - lost.started_at < timedelta(seconds=5)
    assert (lost.error_class, job.losses) == ("WorkerLost", 1)
    assert lost.message.startswith(says)
    assert lost.peak_memory > 10_000_000
    wait.until_status(other, "completed")
    assert (other.attempt, other.losses) == (1, 0)


@pytest.mark.parametrize("how", ["files", "program"])
def test_a_job_that_cuts_its_runner_off_takes_no_other_along(workers: Workers, how: str) -> None:
    # The mother would be thought to hang, and be killed with all she has, after a lease.
    workers.start("default", "--concurrency", "2", lease=3.0, heartbeat=0.5)
    other = Sleep.dispatch(seconds=8)
    wait.until_status(other, "started")

    job = Crash.dispatch(how=how)

    wait.until_status(job, "failed")
    lost = JobAttempt.objects.get(job=job)
    assert lost.message.startswith("The runner could be heard no more"), lost.message
    wait.until_status(other, "completed", "retrying", "failed")
    assert (other.status, other.losses) == ("completed", 0)


def test_a_row_that_somebody_holds_locked_makes_no_worker_silent(workers: Workers) -> None:
    # The keeper can't settle the lost attempt for as long, and must beat all the same.
    worker = workers.start("default", "--concurrency", "2", lease=6.0, heartbeat=0.5)
    other, job = Sleep.dispatch(seconds=12), Sleep.dispatch(seconds=60)
    wait.until_status(other, "started")
    wait.until_status(job, "started")
    runner = pid_of_runner(worker, job)
    with locked(job):
        os.kill(runner, signal.SIGKILL)

        wait.until_status(other, "completed", "retrying", "failed")

        assert (other.status, other.losses, worker.row.dead_at) == ("completed", 0, None)
    wait.until_status(job, "retrying")
    assert (job.attempt, job.losses) == (1, 1)
    assert job.error.startswith("WorkerLost: The runner was killed by SIGKILL")


def test_what_it_had_claimed_and_not_begun_is_given_back_unspent(workers: Workers) -> None:
    # Nor do two heartbeats pass, after which a stray claim is put back.
    workers.start("default", heartbeat=60.0, **LONG)
    # It pushes what is queued and not yet in Redis, and a second entry would be claimed at once.
    wait.until("the relay's first check", lambda: broker_lost.is_checked(client.for_work()))
    job = make_job()
    with held_up(job):
        outbox.push([job])
        runner = pid_of_whoever_waits_for_a_lock()

        os.kill(runner, signal.SIGKILL)

        wait.until(
            "another runner that has claimed it",
            lambda: pid_of_whoever_waits_for_a_lock() != runner,
        )
    wait.until_status(job, "completed")
    assert (job.attempt, job.losses) == (1, 0)
    assert JobAttempt.objects.filter(job=job).count() == 1


def test_what_another_runner_has_claimed_stays_with_it(workers: Workers) -> None:
    worker = workers.start("default", "--concurrency", "2", **LONG)
    running = Sleep.dispatch(seconds=60)
    wait.until_status(running, "started")
    # Its retry, after a random wait, would take the successor's place.
    JobStatus.objects.filter(id=running.id).update(max_attempts=1)
    dying = pid_of_runner(worker, running)
    claimed = make_job()
    with held_up(claimed):
        outbox.push([claimed])
        pid_of_whoever_waits_for_a_lock()

        os.kill(dying, signal.SIGKILL)

        wait.until_status(running, "failed", limit_seconds=15)
        # The keeper beats, and so tells of the next runner, when it is done with the death.
        wait.until("its successor", lambda: dying not in worker.runners())
        # Had the claim been put back, the successor would have passed over the row, and let go.
        wait.until_status(Echo.dispatch(value="by the successor"), "completed")
        assert str(claimed.id) in claim.held(client.for_work(), worker.row.id)
    wait.until_status(claimed, "completed")
    assert JobAttempt.objects.filter(job=claimed).count() == 1


def test_too_much_memory_asked_for_is_an_ordinary_failure(workers: Workers) -> None:
    worker = workers.start("default", **LONG)
    [runner] = wait.until("its runner", worker.runners)
    job = WantTooMuchMemory.dispatch()

    wait.until_status(job, "failed")

    assert (JobAttempt.objects.get(job=job).error_class, job.losses) == ("MemoryError", 0)
    wait.until_status(Echo.dispatch(value="the same runner"), "completed")
    assert worker.runners() == [runner]
