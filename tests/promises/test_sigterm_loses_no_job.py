"""P6: SIGTERM loses nothing and, inside the grace, interrupts nothing."""

from __future__ import annotations

import signal

import psutil
import pytest
from redis import Redis

from jobs.broker import keys
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo, Sleep, Swallow
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("to", ["supervisor", "everything"])
def test_inside_the_grace_nothing_is_interrupted(
    workers: Workers, to: str, number: signal.Signals
) -> None:
    worker = workers.start("default", "--concurrency", "2")
    running = Sleep.dispatch_many([{"seconds": 1.5}] * 2)
    for job in running:
        wait.until_status(job, "started")
    below = worker.tree() if to == "everything" else []

    # As systemd stops a control group, and a terminal its foreground.
    for process in [*below, psutil.Process(worker.process.pid)]:
        process.send_signal(number)

    assert worker.wait() == 0
    for job in running:
        job.refresh_from_db()
        assert (job.status, job.attempt, job.interruptions) == ("completed", 1, 0)


def test_after_the_grace_a_job_is_given_back_unspent_so_often_and_then_fails_an_attempt(
    workers: Workers,
) -> None:
    job = Sleep.dispatch(seconds=60)
    stops = []
    for _ in range(3):
        worker = workers.start("default", grace=0.2, max_interruptions=2)
        wait.until_status(job, "started")
        assert worker.stop() == 0
        job.refresh_from_db()
        stops.append((job.status, job.attempt, job.interruptions))

    assert stops == [("queued", 0, 1), ("queued", 0, 2), ("retrying", 1, 2)]
    errors = JobAttempt.objects.order_by("claim").values_list("outcome", "error_class")
    assert list(errors) == [("given_back", ""), ("given_back", ""), ("failed", "Interrupted")]


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_second_signal_ends_the_grace_and_a_third_changes_nothing(
    workers: Workers, redis: Redis, first: signal.Signals, second: signal.Signals
) -> None:
    worker = workers.start("default", "--concurrency", "2", grace=600.0)
    swallowing, sleeping = Swallow.dispatch(bare=True), Sleep.dispatch(seconds=60)
    JobStatus.objects.filter(id=swallowing.id).update(max_attempts=5)
    waiting = Echo.dispatch(value="behind them")
    for job in (swallowing, sleeping):
        wait.until_status(job, "started")
    worker.signal(first)
    wait.until("the first signal heard", lambda: "stops: asked to stop" in worker.log)

    for number in (second, signal.SIGTERM, signal.SIGINT):
        worker.signal(number)

    assert worker.wait() == 0
    for job in (swallowing, sleeping, waiting):
        job.refresh_from_db()
        assert (job.status, job.attempt) == ("queued", 0)
    assert redis.llen(keys.queue("default")) == 3
    assert redis.hgetall(keys.claims(worker.row.id)) == {}
