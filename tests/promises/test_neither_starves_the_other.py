"""P7: async and sync jobs share a runner, and neither kind waits for the other's place."""

from __future__ import annotations

import itertools
import statistics
import time

import pytest
from django.db import transaction
from redis import Redis

from jobs.broker import keys
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.async_jobs import AsyncEcho, AsyncSleep
from tests.jobs import Echo, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def sleepers(count: int, seconds: float, **options: object) -> list[JobStatus]:
    return AsyncSleep.dispatch_many([{"seconds": seconds}] * count, **options)


def until_all(jobs: list[JobStatus], status: str) -> None:
    ids = [job.id for job in jobs]
    wait.until(
        f"{len(ids)} jobs {status}",
        lambda: JobStatus.objects.filter(id__in=ids, status=status).count() == len(ids),
        limit_seconds=60,
    )


def full_lane(workers: Workers, *queues: str, slots: int = 3, waiting: int = 20) -> list[JobStatus]:
    """Start a worker whose lane is full for a minute; return the async jobs that wait for room."""
    workers.start(*queues, "--async-slots", str(slots))
    until_all(sleepers(slots, 60.0, queue=queues[0]), "started")
    return sleepers(waiting, 60.0, queue=queues[0])


def ids_of(jobs: list[JobStatus]) -> list[bytes]:
    return [str(job.id).encode() for job in jobs]


def start_delays(jobs: list[JobStatus]) -> list[float]:
    attempts = JobAttempt.objects.filter(job__in=[job.id for job in jobs]).select_related("job")
    return [(one.started_at - one.job.created_at).total_seconds() for one in attempts]


def test_sync_jobs_pass_async_ones_that_wait_for_room(workers: Workers, redis: Redis) -> None:
    waiting = full_lane(workers, "default")

    sync = Echo.dispatch_many([{}] * 10)

    until_all(sync, "completed")
    assert redis.lrange(keys.queue("default"), 0, -1) == ids_of(waiting)
    assert JobStatus.objects.filter(status="started").count() == 3


def test_sync_jobs_of_a_later_queue_pass_them_too(workers: Workers, redis: Redis) -> None:
    waiting = full_lane(workers, "high", "default", waiting=200)

    sync = Echo.dispatch_many([{}] * 10)

    until_all(sync, "completed")
    assert redis.lrange(keys.queue("high"), 0, -1) == ids_of(waiting)


def test_a_sync_job_that_comes_waits_for_no_look(workers: Workers) -> None:
    full_lane(workers, "high", "default")
    sync = []

    for _ in range(15):
        sync.append(Echo.dispatch())
        wait.until_status(sync[-1], "completed")

    # A push wakes the main thread. Where it only looked every quarter of a second, half of that.
    assert statistics.median(start_delays(sync)) < 0.08


def test_what_waits_for_room_costs_redis_little(workers: Workers, redis: Redis) -> None:
    full_lane(workers, "default", waiting=1_000)
    before = calls(redis, "evalsha"), calls(redis, "blpop")

    time.sleep(2.0)  # what is done meanwhile is the measure

    # Nothing is claimed and put back; it waits for a push, four times a second.
    assert calls(redis, "evalsha") - before[0] < 60
    assert calls(redis, "blpop") - before[1] < 20


def calls(redis: Redis, command: str) -> int:
    return int(redis.info("commandstats")[f"cmdstat_{command}"]["calls"])


def commands_run(redis: Redis) -> int:
    return int(redis.info("stats")["total_commands_processed"])


def test_two_full_lanes_wake_each_other_no_more(workers: Workers, redis: Redis) -> None:
    workers.start("default", "--async-slots", "2", "--concurrency", "2")
    until_all(sleepers(4, 60.0), "started")
    sleepers(50, 60.0)
    before = commands_run(redis)

    time.sleep(2.0)  # as above

    assert commands_run(redis) - before < 400


def test_a_lane_with_room_hears_of_what_one_without_was_woken_for(workers: Workers) -> None:
    workers.start("default", "--async-slots", "2")
    until_all(sleepers(2, 60.0), "started")
    workers.start("default", "--async-slots", "100")

    echoes = []
    for _ in range(15):
        echoes.append(AsyncEcho.dispatch())
        wait.until_status(echoes[-1], "completed")

    assert statistics.median(start_delays(echoes)) < 0.08


def test_async_jobs_begin_in_their_order_as_room_comes(workers: Workers) -> None:
    workers.start("default", "--async-slots", "2")

    jobs = sleepers(12, 0.2)
    stop_at = time.monotonic() + 1.5
    while time.monotonic() < stop_at:  # a stream of sync jobs meanwhile
        Echo.dispatch_many([{}] * 5)
        wait.until("they are taken", lambda: not is_echo_queued())

    until_all(jobs, "completed")
    started_at = dict(JobStatus.objects.values_list("id", "started_at"))
    for before, after in itertools.pairwise(jobs):
        # Of two that begin at once each has its time from a clock of its own.
        assert (started_at[after.id] - started_at[before.id]).total_seconds() > -0.1


def is_echo_queued() -> bool:
    return JobStatus.objects.filter(job_class="Echo", status="queued").exists()


def test_a_stream_of_sync_jobs_leaves_the_last_slot_to_those_that_wait(workers: Workers) -> None:
    workers.start("default", "--async-slots", "3")
    until_all(sleepers(2, 60.0), "started")

    jobs = sleepers(20, 0.05)

    def stream() -> bool:
        if JobStatus.objects.filter(job_class="Echo", status="queued").count() < 200:
            Echo.dispatch_many([{}] * 200)
        ids = [job.id for job in jobs]
        return JobStatus.objects.filter(id__in=ids, status="completed").count() == 20

    wait.until("the async jobs completed", stream, limit_seconds=20)


def test_an_async_job_waits_for_no_sync_one_of_its_batch(workers: Workers) -> None:
    workers.start("default")
    until_all(Echo.dispatch_many([{}] * 500), "completed")  # from now on it claims many at once

    with transaction.atomic():
        long = Sleep.dispatch(seconds=5)
        quick = AsyncEcho.dispatch()

    wait.until_status(quick, "completed")
    long.refresh_from_db()
    assert long.finished_at is None or long.finished_at > quick.finished_at
    assert quick.attempt == 1


def test_async_jobs_start_in_their_place_among_short_sync_ones(workers: Workers) -> None:
    jobs: list[JobStatus] = []
    for _ in range(15):
        jobs += [*Echo.dispatch_many([{}] * 100), AsyncEcho.dispatch()]
    workers.start("default")
    until_all(jobs, "completed")

    started_at = dict(JobStatus.objects.values_list("id", "started_at"))
    for place, job in enumerate(jobs[:-202]):
        if job.job_class == "AsyncEcho":
            # A batch of 64, and the one before it.
            assert started_at[job.id] < started_at[jobs[place + 140].id]


def test_async_jobs_of_an_earlier_queue_wait_for_no_backlog_of_sync_ones(workers: Workers) -> None:
    workers.start("high", "default")
    Sleep.dispatch_many([{"seconds": 0.02}] * 400)
    wait.until("a stream", lambda: JobStatus.objects.filter(status="completed").exists())

    quick = []
    for _ in range(15):
        quick.append(AsyncEcho.dispatch(queue="high"))
        wait.until_status(quick[-1], "completed")

    assert statistics.median(start_delays(quick)) < 0.3
    assert JobStatus.objects.filter(job_class="Sleep", status="queued").exists()
