"""A cancel reaches a running job, wherever it is; a stop gives it back."""

from __future__ import annotations

import signal

import psutil
import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from redis import Redis

from jobs.lifecycle import control
from jobs.models import JobAttempt, JobStatus
from tests import jobs, wait
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def progress_of(job: JobStatus) -> dict | None:
    job.refresh_from_db()
    return job.progress


@pytest.mark.parametrize(
    ("job_class", "params"),
    [
        (jobs.Sleep, {"seconds": 60}),
        (jobs.Swallow, {}),
    ],
    ids=["sleeps", "swallows"],
)
def test_a_running_job_is_cancelled_and_says_by_whom(
    workers: Workers, job_class: type, params: dict
) -> None:
    workers.start("default")
    job = job_class.dispatch(**params)
    wait.until_status(job, "started")

    moved = control.cancel([job.id], by="alice", reason="wrong file")

    assert moved.asked == [job.id]
    wait.until_status(job, "cancelled", limit_seconds=10)
    assert job.error == "cancelled by alice: wrong file"
    assert JobAttempt.objects.get(job=job).outcome in {"cancelled", "failed"}


def test_progress_is_read_and_a_cancel_answered_inside_an_open_transaction(
    workers: Workers,
) -> None:
    workers.start("default")
    job = jobs.InTransaction.dispatch()
    wait.until("progress from inside", lambda: (progress_of(job) or {}).get("done", 0) > 5)

    control.cancel([job.id], by="alice")

    wait.until_status(job, "cancelled", limit_seconds=10)
    assert not Permission.objects.filter(codename="half_done").exists()


def test_a_cancel_is_answered_without_redis(workers: Workers, redis: Redis) -> None:
    worker = workers.start("default")
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    # The signal never comes: the row alone says it.
    with transaction.atomic():
        JobStatus.objects.filter(id=job.id).request_cancel(
            {"cancel_requested_at": job.created_at, "cancel_requested_by": "alice"}
        )

    wait.until_status(job, "cancelled", limit_seconds=15)
    assert worker.process.poll() is None


def test_a_stop_lets_a_short_job_finish(workers: Workers) -> None:
    worker = workers.start("default")
    job = jobs.Sleep.dispatch(seconds=1)
    wait.until_status(job, "started")

    assert worker.stop() == 0

    job.refresh_from_db()
    assert (job.status, job.attempt) == ("completed", 1)


def test_a_stop_gives_a_long_job_back_unspent(workers: Workers) -> None:
    worker = workers.start("default", grace=0.5)
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")

    assert worker.stop() == 0

    job.refresh_from_db()
    assert (job.status, job.attempt, job.interruptions) == ("queued", 0, 1)
    assert "the grace is over, 1 job(s) running are interrupted" in worker.log
    workers.start("default")
    wait.until_status(job, "started")
    assert job.attempt == 1


def test_the_grace_of_one_worker_may_differ_from_the_settings(workers: Workers) -> None:
    worker = workers.start("default", "--grace", "0.5", grace=600)
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")

    assert worker.stop() == 0

    job.refresh_from_db()
    assert (job.status, job.interruptions) == ("queued", 1)
    assert "job(s) running, they have 0.5 s" in worker.log


def test_a_second_signal_does_not_wait_for_the_grace(workers: Workers) -> None:
    worker = workers.start("default", grace=600)
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    worker.signal(signal.SIGTERM)
    wait.until("the first signal heard", lambda: "stops: asked to stop" in worker.log)

    worker.signal(signal.SIGTERM)

    assert worker.wait(15) == 0
    job.refresh_from_db()
    assert job.status == "queued"
    assert "asked again, 1 job(s) running are interrupted" in worker.log


def test_a_signal_to_the_whole_group_interrupts_nothing(workers: Workers) -> None:
    worker = workers.start("default")
    job = jobs.Sleep.dispatch(seconds=1.5)
    wait.until_status(job, "started")

    for process in [*worker.tree(), psutil.Process(worker.process.pid)]:
        process.send_signal(signal.SIGINT)

    assert worker.wait() == 0
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("completed", 1)


def test_a_killed_supervisor_takes_everything_with_it(workers: Workers) -> None:
    worker = workers.start("default")
    job = jobs.Spawn.dispatch()
    child = wait.until("the job's child", lambda: (progress_of(job) or {}).get("done"))
    below = worker.tree()
    assert child in [process.pid for process in below]

    worker.signal(signal.SIGKILL)

    wait.until(
        "the end of the whole tree",
        lambda: not [process for process in below if process.is_running()],
        limit_seconds=5,
    )


def test_a_stopped_worker_leaves_no_process(workers: Workers) -> None:
    worker = workers.start("default", "--concurrency", "2")
    below = wait.until(
        "two runners, mother and duties", lambda: len(worker.tree()) >= 4 and worker.tree()
    )

    worker.stop()

    assert [process for process in below if process.is_running()] == []
