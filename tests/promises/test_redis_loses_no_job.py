from __future__ import annotations

from datetime import timedelta

import pytest
from redis import Redis

from jobs.broker import claim, keys
from jobs.maintenance import relay
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo
from tests.make import make_worker
from tests.servers import OwnRedis
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def dispatch(count: int) -> list[JobStatus]:
    return [Echo.dispatch(value=str(number)) for number in range(count)]


def all_completed() -> bool:
    return not JobStatus.objects.exclude(status="completed").exists()


def assert_each_ran_once(jobs: list[JobStatus]) -> None:
    assert JobStatus.objects.filter(status="completed", attempt=1).count() == len(jobs)
    assert JobAttempt.objects.count() == len(jobs)


def test_a_flush_loses_no_job_and_keeps_the_order(workers: Workers, redis: Redis):
    jobs = dispatch(30)
    redis.flushdb()

    workers.start("default")

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)
    started = JobStatus.objects.order_by("started_at").values_list("id", flat=True)
    assert list(started) == [job.id for job in jobs]


def test_a_flush_under_a_running_worker_loses_no_job(workers: Workers, redis: Redis):
    workers.start("default")
    relay.push_lost()  # the relay has seen this Redis whole
    jobs = []
    for _ in range(5):
        jobs += dispatch(20)
        redis.flushdb()

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)


def test_what_was_dispatched_while_redis_was_down_runs_once_it_is_back(
    workers: Workers, own_redis: OwnRedis
):
    worker = workers.start("default")
    own_redis.kill()
    jobs = dispatch(5)
    jobs.append(Echo.dispatch(value="later", run_at=timedelta(seconds=0.5)))
    wait.until(
        "the scheduled job queued without Redis",
        lambda: not JobStatus.objects.filter(status="scheduled").exists(),
    )
    assert JobStatus.objects.filter(status="queued").count() == len(jobs)

    own_redis.start()

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)
    assert worker.process.poll() is None


def test_a_push_that_redis_took_to_its_grave_runs_all_the_same(
    workers: Workers, own_redis: OwnRedis
):
    jobs = dispatch(1)  # from now on this thread's pushes are waited for by nobody
    own_redis.pause()
    jobs += dispatch(1)
    own_redis.kill()
    own_redis.start()

    workers.start("default")

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)


def test_a_redis_that_restarts_empty_loses_no_job(workers: Workers, own_redis: OwnRedis):
    jobs = dispatch(20)
    own_redis.kill()
    own_redis.start()

    workers.start("default")

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)


def test_a_worker_that_starts_while_redis_is_down_works_once_it_is_back(
    workers: Workers, own_redis: OwnRedis
):
    own_redis.kill()
    jobs = dispatch(3)
    worker = workers.start("default")

    own_redis.start()

    wait.until("all completed", all_completed)
    assert_each_ran_once(jobs)
    assert worker.process.poll() is None


def test_an_id_that_was_taken_out_of_its_list_comes_back(workers: Workers, redis: Redis):
    first, taken_out = dispatch(2)
    relay.push_lost()  # the relay has seen this Redis whole
    # Another worker has claimed the first, and not started it: the queue isn't out of work.
    holder = make_worker()
    claim.take(redis, ["default"], holder.id, count=1)
    assert list(claim.held(redis, holder.id)) == [str(first.id)]
    assert redis.lrem(keys.queue("default"), 0, str(taken_out.id)) == 1

    workers.start("high", lease=120.0, heartbeat=0.5, lost_after=1.0)  # does the duties

    wait.until("the id back", lambda: redis.llen(keys.queue("default")) == 1)
    claim.put_back(redis, holder.id, [str(first.id)])
    workers.start("default")
    wait.until("all completed", all_completed)
    assert_each_ran_once([first, taken_out])
