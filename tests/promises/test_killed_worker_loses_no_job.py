from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from jobs.broker import claim, client
from jobs.models import JobAttempt, JobStatus, JobWorker
from tests import wait
from tests.jobs import Echo, KillItsRunner, KillItsWorker, Sleep, Spawn
from tests.workers import CONTAINER, Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 3.0, "heartbeat": 0.5}


def killed(workers: Workers, job: JobStatus) -> Worker:
    """Start a worker, and kill it outright while it runs `job`."""
    worker = workers.start("default", **QUICK)
    wait.until_status(job, "started")
    worker.signal(signal.SIGKILL)
    worker.wait()
    return worker


def test_what_a_killed_worker_was_running_runs_again_elsewhere(workers: Workers):
    job = Sleep.dispatch(seconds=1.5)
    waiting = Echo.dispatch(value="behind it")
    dead = killed(workers, job)

    workers.start("default", **QUICK)

    wait.until_status(job, "completed")
    wait.until_status(waiting, "completed")
    assert (job.attempt, job.losses) == (2, 1)
    lost = JobAttempt.objects.get(job=job, number=1)
    assert (lost.outcome, lost.error_class) == ("failed", "WorkerLost")
    row = JobWorker.objects.get(pid=dead.process.pid)
    assert row.dead_at is not None
    assert row.name in lost.message


def test_what_a_killed_worker_had_claimed_runs_elsewhere(workers: Workers):
    worker = workers.start("high", **QUICK)
    row = worker.row
    jobs = [Echo.dispatch(value=str(number)) for number in range(3)]
    worker.signal(signal.SIGKILL)
    worker.wait()
    # As if it had died between its claim and its start.
    assert len(claim.take(client.for_work(), ["default"], row.id, count=3).entries) == 3

    workers.start("default", **QUICK)

    for job in jobs:
        wait.until_status(job, "completed")
    assert JobAttempt.objects.count() == 3


def test_a_living_worker_keeps_its_job_however_long_it_runs(workers: Workers):
    job = Sleep.dispatch(seconds=5)  # longer than the lease
    workers.start("default", **QUICK)
    wait.until_status(job, "started")
    workers.start("default", **QUICK)

    wait.until_status(job, "completed")

    assert (job.attempt, job.losses) == (1, 0)
    assert not JobWorker.objects.filter(dead_at__isnull=False).exists()


def test_the_duties_go_on_when_the_leader_is_killed(workers: Workers):
    first = workers.start("default", **QUICK)
    workers.start("default", **QUICK)
    first.signal(signal.SIGKILL)
    first.wait()

    job = Echo.dispatch(value="x", run_at=timedelta(seconds=0.5))

    wait.until_status(job, "completed")


def test_a_worker_restarted_under_its_name_leaves_no_row_behind(workers: Workers):
    long = {"lease": 60.0, "leader_lease": 60.0}  # nothing is left to the duties
    first = workers.start("default", "--name", "alpha", **long)
    job = Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    first.signal(signal.SIGKILL)
    first.wait()
    dead = first.row

    second = workers.start("default", "--name", "alpha", **long)

    wait.until_status(job, "retrying", limit_seconds=10)
    lost = JobAttempt.objects.get(job=job)
    assert (lost.error_class, job.losses) == ("WorkerLost", 1)
    assert "alpha died and was started anew" in lost.message
    assert not JobStatus.objects.filter(status="started").exists()
    assert [row.id for row in JobWorker.objects.filter(stopped_at=None, dead_at=None)] == [
        second.row.id
    ]
    dead.refresh_from_db()
    assert dead.dead_at is not None


def test_a_living_worker_keeps_its_name_though_its_pid_means_nothing_elsewhere(workers: Workers):
    worker = workers.start("default", "--name", "alpha")

    # Of the same hostname, and in its namespace no process has the pid of the first.
    other = workers.start("default", "--name", "alpha", wait_for_row=False, inside=CONTAINER)

    assert other.wait() == 2
    assert "A living worker is named 'alpha'" in other.log
    job = Echo.dispatch(value="it works on")
    wait.until_status(job, "completed")
    assert worker.row.dead_at is None


def test_a_name_is_free_a_lease_after_its_container_was_killed(workers: Workers):
    former = workers.start("default", "--name", "alpha", wait_for_row=False, inside=CONTAINER)
    job = Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    former.process.kill()  # and with it all that is in there

    workers.start("default", "--name", "alpha", **QUICK)

    lost = wait.until("its rescue", lambda: JobAttempt.objects.filter(job=job).first())
    assert "alpha died and was started anew" in lost.message


def test_a_job_that_kills_its_runners_fails_after_max_losses(workers: Workers):
    workers.start("default", lease=60.0)
    job = KillItsRunner.dispatch()

    wait.until_status(job, "failed")

    assert (job.attempt, job.losses) == (3, 3)
    assert job.error.startswith("WorkerLost: The runner was killed by SIGKILL")
    assert "it has lost 3 workers" in job.error


def test_a_job_that_kills_whole_workers_fails_after_max_losses(workers: Workers):
    alpha = ("default", "--name", "alpha")
    short = {"leader_lease": 0.5, "max_losses": 2}
    job = KillItsWorker.dispatch()
    for attempt in (1, 2):
        worker = workers.start(*alpha, wait_for_row=False, **short)
        assert worker.wait() == -signal.SIGKILL
        job.refresh_from_db()
        assert (job.attempt, job.losses) == (attempt, attempt - 1)

    workers.start(*alpha, **short)

    wait.until_status(job, "failed")
    assert "it has lost 2 workers" in job.error


def test_everything_below_a_killed_supervisor_dies_with_it(workers: Workers):
    worker = workers.start("default", "--concurrency", "2")
    jobs = Spawn.dispatch_many([{}] * 2)
    for job in jobs:
        wait.until_status(job, "started")
    below = wait.until(
        "mother, duties, runners and the jobs' children",
        lambda: (tree := worker.tree()) and len(tree) == 6 and tree,
    )

    worker.process.kill()

    wait.until(
        "the end of them all",
        lambda: not any(process.is_running() for process in below),
        limit_seconds=2,
    )
