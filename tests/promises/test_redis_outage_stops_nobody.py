"""P2: a Redis that is away or hangs only delays jobs; nobody ends, nobody is slowed, few words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from jobs.broker import client
from jobs.models import JobAttempt, JobStatus, ScheduleRun
from tests import wait
from tests.jobs import Echo, Sleep
from tests.schedulers import Schedulers
from tests.servers import OwnRedis
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 3.0, "heartbeat": 0.5}
OUTAGE_SECONDS = 5.0
BOUND_SECONDS = (
    0.5  # of the one dispatch that finds out: the second, for none waits for its own push
)


@contextmanager
def away(redis: OwnRedis, how: str) -> Iterator[None]:
    if how == "down":
        redis.kill()
        yield
        redis.start()
    else:
        redis.pause()
        yield
        redis.resume()


def seconds_of_push() -> float:
    """Dispatch, and return how long Redis held up the caller; PostgreSQL's part is left out."""
    moments = []
    with transaction.atomic():
        transaction.on_commit(lambda: moments.append(time.monotonic()))
        Echo.dispatch(value="meanwhile")
        transaction.on_commit(lambda: moments.append(time.monotonic()))
    return moments[1] - moments[0]


def lines_about_redis(process: Worker) -> list[str]:
    # A job that begins or ends just then says so for itself: how many do is chance.
    lines = [line for line in process.log.splitlines() if " Redis " in line]
    return [line for line in lines if "the dashboard misses an entry" not in line]


def test_a_redis_that_hangs_delays_one_dispatch_and_none_after_it(own_redis: OwnRedis):
    assert seconds_of_push() < client.PUSH_ANSWER_SECONDS
    own_redis.pause()

    pause = threading.Event()
    until = time.monotonic() + OUTAGE_SECONDS
    seconds = []
    while time.monotonic() < until:
        seconds.append(seconds_of_push())
        pause.wait(0.02)

    assert len(seconds) >= 50
    assert seconds[0] < client.PUSH_ANSWER_SECONDS, "a dispatch waited for its own push"
    assert client.PUSH_ANSWER_SECONDS / 2 <= seconds[1] <= BOUND_SECONDS
    # Less than one more try would take.
    assert sum(seconds[2:]) < client.PUSH_ANSWER_SECONDS, "later dispatches were slowed"


@pytest.mark.parametrize("how", ["down", "hung"])
def test_nobody_ends_few_words_are_said_and_everything_runs_afterwards(
    workers: Workers, schedulers: Schedulers, own_redis: OwnRedis, how: str
):
    worker = workers.start("default", "--concurrency", "2", **QUICK)
    scheduler = schedulers.start(jobs_seconds=QUICK, waits=False)
    wait.until("a tick", ScheduleRun.objects.exists)
    running = Sleep.dispatch(seconds=2)
    wait.until_status(running, "started")
    wait.until("both runners", lambda: len(worker.runners()) == 2)
    everybody = {process.pid for process in worker.tree()}

    with away(own_redis, how):
        ticks = ScheduleRun.objects.count()
        pause = threading.Event()
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until:
            Echo.dispatch(value="meanwhile")
            pause.wait(0.05)
        assert ScheduleRun.objects.count() > ticks, "no tick without Redis"

    for process in (worker, scheduler):
        process.until_said("Redis answers again, after")
        assert process.process.poll() is None
    # Supervisor, two runners with their ushers, duties and the duties' pushes, and what the
    # dashboard misses; ticks, duties and their pushes: each at the beginning and at the end.
    assert len(lines_about_redis(worker)) <= 2 * 7 + 1, "too many words:\n" + worker.log
    assert len(lines_about_redis(scheduler)) <= 2 * 3, "too many words:\n" + scheduler.log
    assert scheduler.stop() == 0
    wait.until(
        "the end of every job",
        lambda: not JobStatus.objects.filter(queue="default").exclude(status="completed").exists(),
    )
    assert {process.pid for process in worker.tree()} == everybody, "a process ended"
    # The scheduler's own jobs in queues that nobody works on have no attempt.
    assert set(JobAttempt.objects.values_list("number", flat=True)) == {1}
    assert JobAttempt.objects.count() == JobStatus.objects.filter(queue="default").count()


def test_a_worker_that_starts_while_redis_hangs_works_once_it_goes_on(
    workers: Workers, schedulers: Schedulers, own_redis: OwnRedis
):
    own_redis.pause()
    jobs = [Echo.dispatch(value=str(number)) for number in range(3)]
    worker = workers.start("default", **QUICK)
    scheduler = schedulers.start(jobs_seconds=QUICK, waits=False)
    wait.until("a tick without Redis", ScheduleRun.objects.exists)
    assert scheduler.stop() == 0

    own_redis.resume()

    for job in jobs:
        wait.until_status(job, "completed")
    assert worker.process.poll() is None


def test_a_full_redis_is_worked_empty_and_then_takes_jobs_again(
    workers: Workers, own_redis: OwnRedis
):
    redis = client.for_work()
    waiting = [Echo.dispatch(value="waits already") for _ in range(20)]
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", "1")
    refused = Echo.dispatch(value="finds no room")

    workers.start("default", **QUICK)

    for job in waiting:
        wait.until_status(job, "completed")
    wait.until(
        "an end of all that was there", lambda: not [*redis.scan_iter("rq:job:*", count=1_000)]
    )
    assert not [*redis.scan_iter("jobs:claims:*", count=1_000)]
    redis.config_set("maxmemory", "0")
    wait.until_status(refused, "completed")
    assert JobAttempt.objects.count() == 21
