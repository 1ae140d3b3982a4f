"""P6: a stop ends within the grace and a few seconds, whatever Redis or PostgreSQL do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.models import JobStatus, JobWorker, ScheduleRun
from tests import wait
from tests.jobs import Sleep
from tests.schedulers import Scheduler, Schedulers
from tests.servers import OwnPostgres, OwnRedis
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 5.0, "heartbeat": 0.5, "grace": 1.0, "kill_after": 1.0}
# Measured 0.3 to 4.2 s; this machine may be busy.
IDLE_BOUND_SECONDS = 8.0
BUSY_BOUND_SECONDS = IDLE_BOUND_SECONDS + QUICK["grace"] + QUICK["kill_after"]

Server = OwnPostgres | OwnRedis


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def seconds_to_stop(process: Worker) -> float:
    begun = time.monotonic()
    assert process.stop() == 0
    return time.monotonic() - begun


def until_it_hangs(process: Worker, server: Server) -> None:
    name = "Redis" if isinstance(server, OwnRedis) else "PostgreSQL"
    process.until_said(f"{name} doesn't answer")


@pytest.fixture(params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest, own_postgres: OwnPostgres, workers: Workers) -> Server:
    if request.param == "postgresql":
        return own_postgres
    own_redis: OwnRedis = request.getfixturevalue("own_redis")
    return own_redis


def start_worker(workers: Workers) -> Worker:
    worker = workers.start("default", "--concurrency", "2", **QUICK)
    wait.until("both runners", lambda: len(worker.runners()) == 2)
    return worker


def start_scheduler(schedulers: Schedulers) -> Scheduler:
    scheduler = schedulers.start(jobs_seconds=QUICK, waits=False)
    wait.until("a tick", ScheduleRun.objects.exists)
    return scheduler


@pytest.mark.parametrize("who", ["worker", "scheduler"])
def test_while_nothing_runs(server: Server, workers: Workers, schedulers: Schedulers, who: str):
    process = start_worker(workers) if who == "worker" else start_scheduler(schedulers)

    with hanging(server):
        until_it_hangs(process, server)
        seconds = seconds_to_stop(process)

    assert seconds < IDLE_BOUND_SECONDS, f"it took {seconds:.1f} s to stop"


def test_while_a_job_runs(server: Server, workers: Workers):
    worker = start_worker(workers)
    job = Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")

    with hanging(server):
        until_it_hangs(worker, server)
        seconds = seconds_to_stop(worker)

    assert seconds < BUSY_BOUND_SECONDS, f"it took {seconds:.1f} s to stop"
    if isinstance(server, OwnRedis):
        # PostgreSQL answered: the job was given back, and the worker has signed off.
        job.refresh_from_db()
        assert (job.status, job.attempt, job.interruptions) == ("queued", 0, 1)
        assert JobWorker.objects.get().stopped_at is not None


def test_the_job_that_it_could_not_give_back_runs_elsewhere(
    own_postgres: OwnPostgres, workers: Workers
):
    worker = start_worker(workers)
    job = Sleep.dispatch(seconds=2)
    wait.until_status(job, "started")
    with hanging(own_postgres):
        assert worker.stop() == 0

    workers.start("default", **QUICK)

    wait.until_status(job, "completed")
    assert not JobStatus.objects.exclude(status="completed").exists()
