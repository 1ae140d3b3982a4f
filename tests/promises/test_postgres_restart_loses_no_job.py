"""P2, P3: a PostgreSQL that restarts or hangs in the middle of jobs costs time, and no job."""

from __future__ import annotations

import signal

import psutil
import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from jobs.models import JobAttempt, JobStatus, ScheduleRun
from tests import wait
from tests.jobs import AtomicSleep, Echo, Sleep, Statement, TightCall
from tests.schedulers import Schedulers
from tests.servers import OwnPostgres, OwnRedis
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 3.0, "heartbeat": 0.5}
RESTARTS = pytest.mark.parametrize("immediate", [False, True], ids=["fast", "immediate"])


def runner_says(worker: Worker, pid: int) -> None:
    """Wait until a runner has found out by itself that PostgreSQL is away."""
    worker.until_said(f"Runner {pid}: PostgreSQL doesn't answer")


def the_runner(worker: Worker) -> int:
    [pid] = wait.until("its runner", worker.runners)
    return pid


def start_again(postgres: OwnPostgres) -> None:
    postgres.start()
    connection.close()


@RESTARTS
def test_an_outcome_that_could_not_be_written_is_recorded_by_the_same_worker(
    own_postgres: OwnPostgres, workers: Workers, *, immediate: bool
):
    worker = workers.start("default", **QUICK)
    other = workers.start("high", **QUICK)  # leads or will, and would rescue
    job = Sleep.dispatch(seconds=1)
    wait.until_status(job, "started")
    runner = the_runner(worker)

    own_postgres.stop(immediate=immediate)
    runner_says(worker, runner)  # it has tried to settle
    start_again(own_postgres)

    wait.until_status(job, "completed")
    attempt = JobAttempt.objects.get()
    assert (attempt.number, attempt.worker_id, job.losses) == (1, worker.row.id, 0)
    assert worker.runners() == [runner]
    assert worker.log.count("PostgreSQL doesn't answer") <= 3  # supervisor, runner, duties
    assert [one.process.poll() for one in (worker, other)] == [None, None]


@RESTARTS
def test_a_job_in_the_middle_of_its_own_sql_fails_once_and_is_retried(
    own_postgres: OwnPostgres, workers: Workers, *, immediate: bool
):
    workers.start("default", **QUICK)
    job = Statement.dispatch()
    wait.until_status(job, "started")

    own_postgres.restart(immediate=immediate)
    connection.close()

    wait.until_status(job, "completed")
    first, second = JobAttempt.objects.order_by("number")
    assert first.outcome == "failed"
    assert first.error_class in {"OperationalError", "DatabaseError"}
    assert (second.number, second.outcome, job.losses) == (2, "completed", 0)


@RESTARTS
def test_an_atomic_job_is_written_wholly_or_not_at_all(
    own_postgres: OwnPostgres, workers: Workers, *, immediate: bool
):
    worker = workers.start("default", "--concurrency", "2", **QUICK)
    jobs = [AtomicSleep.dispatch(seconds=seconds) for seconds in (0.5, 120)]
    wait.until("both halfway", lambda: JobStatus.objects.exclude(progress=None).count() == 2)

    own_postgres.restart(immediate=immediate)
    connection.close()

    # The one is cut off in its transaction; the other still sleeps, in a transaction that is gone.
    wait.until_status(jobs[0], "completed")
    assert written(jobs[0]) == 1
    assert jobs[0].attempt == JobAttempt.objects.filter(job=jobs[0]).count()
    assert written(jobs[1]) == 0
    assert worker.process.poll() is None


def written(job: JobStatus) -> int:
    return Permission.objects.filter(codename=f"written_{job.id}").count()


def test_a_job_whose_worker_died_during_the_outage_is_rescued(
    own_postgres: OwnPostgres, workers: Workers
):
    doomed = workers.start("default", **QUICK)
    workers.start("high", "default", **QUICK)
    jobs = [Sleep.dispatch(seconds=1) for _ in range(2)]
    for job in jobs:
        wait.until_status(job, "started")
    lost = next(job for job in jobs if job.worker_id == doomed.row.id)

    own_postgres.stop()
    doomed.signal(signal.SIGKILL)
    doomed.wait()
    start_again(own_postgres)

    for job in jobs:
        wait.until_status(job, "completed")
    assert [(job.attempt, job.losses) for job in jobs if job.id != lost.id] == [(1, 0)]
    lost.refresh_from_db()
    assert (lost.attempt, lost.losses) == (2, 1)


def test_a_worker_and_a_scheduler_that_start_without_it_work_once_it_is_there(
    own_postgres: OwnPostgres, workers: Workers, schedulers: Schedulers
):
    job = Echo.dispatch(value="early")
    own_postgres.stop()
    connection.close()
    worker = workers.start("default", wait_for_row=False, **QUICK)
    scheduler = schedulers.start(jobs_seconds=QUICK, waits=False)
    for process in (worker, scheduler):
        process.until_said("PostgreSQL doesn't answer")

    start_again(own_postgres)

    wait.until_status(job, "completed")
    wait.until("a tick", ScheduleRun.objects.exists)
    for process in (worker, scheduler):
        process.until_said("PostgreSQL answers again, after")
        assert process.process.poll() is None


def test_a_timeout_is_enforced_while_it_hangs(own_postgres: OwnPostgres, workers: Workers):
    worker = workers.start("default", **QUICK)
    job = TightCall.dispatch()  # hears no signal: only the supervisor can end it
    wait.until_status(job, "started")
    runner = the_runner(worker)

    own_postgres.pause()
    try:
        wait.until("its death", lambda: not psutil.pid_exists(runner), scene=lambda: worker.log)
        worker.until_said("PostgreSQL doesn't answer")  # a question is open: the main thread says
    finally:
        own_postgres.resume()

    wait.until_status(job, "failed")
    assert JobAttempt.objects.get().error_class == "TimedOut"
    assert worker.process.poll() is None


@pytest.mark.parametrize("first", ["redis", "postgresql"])
def test_both_may_be_away_and_come_back_in_any_order(
    own_postgres: OwnPostgres,
    workers: Workers,
    schedulers: Schedulers,
    own_redis: OwnRedis,
    first: str,
):
    worker = workers.start("default", "--concurrency", "2", **QUICK)
    scheduler = schedulers.start(jobs_seconds=QUICK, waits=False)
    wait.until("a tick", ScheduleRun.objects.exists)
    running = Sleep.dispatch(seconds=1)
    wait.until_status(running, "started")
    own_redis.kill()
    for process in (worker, scheduler):
        process.until_said("Redis doesn't answer")
    jobs = [Echo.dispatch(value=str(number)) for number in range(5)]
    own_postgres.stop(immediate=True)
    for process in (worker, scheduler):
        process.until_said("PostgreSQL doesn't answer")

    starts = [own_redis.start, lambda: start_again(own_postgres)]
    for start in starts if first == "redis" else reversed(starts):
        start()

    for job in [running, *jobs]:
        wait.until_status(job, "completed")
    assert running.attempt == 1
    ticks = ScheduleRun.objects.count()
    wait.until("more ticks", lambda: ScheduleRun.objects.count() > ticks)
    assert [one.process.poll() for one in (worker, scheduler)] == [None, None]
