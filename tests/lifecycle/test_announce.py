"""Who is told of attempts: one line in the log, the dashboard, and the queue's head."""

from __future__ import annotations

import pytest
from django.db import connection
from redis import Redis

from jobs.broker import claim, keys
from jobs.dispatch import outbox
from jobs.lifecycle import announce
from jobs.lifecycle.announce import Ending
from jobs.lifecycle.outcomes import Completed, GivenBack, Outcome, Settlement, Unbegun
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.models import JobStatus, JobWorker
from jobs.processes.connection import unit_of_work
from jobs.statuses import Status
from tests import others
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


def begun(worker: JobWorker, redis: Redis, count: int = 1) -> list[JobStatus]:
    """Return jobs that were pushed, claimed and started, and of which nobody was told."""
    jobs = [make_job() for _ in range(count)]
    outbox.push(jobs)
    claim.take(redis, ["default"], worker.id, count=count)
    return start([job.id for job in jobs], worker_id=worker.id).jobs


def settled(jobs: list[JobStatus], outcome: Outcome) -> list[Ending]:
    ends = settle([Settlement(job_id=job.id, claim=job.claim, outcome=outcome) for job in jobs])
    job_by_id = {job.id: job for job in jobs}
    return [Ending(settled=end, outcome=outcome, job=job_by_id[end.job_id]) for end in ends]


def status_in(redis: Redis, job: JobStatus) -> bytes | None:
    return redis.hget(keys.entry(job.id), "status")


def lose_the_connection() -> None:
    """Have PostgreSQL end the backend that this thread asks."""
    with others.elsewhere() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(%s, 30000)", [connection.connection.info.backend_pid]
        )


def test_a_start_is_told_to_the_log_and_the_dashboard(
    redis: Redis, worker: JobWorker, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = begun(worker, redis, 2)

    announce.started(jobs, worker_name=worker.name, worker_id=worker.id)

    assert [status_in(redis, job) for job in jobs] == [b"started"] * 2
    assert claim.held(redis, worker.id) == {}
    assert f"Working on {jobs[0].id} (Echo, attempt 1)" in caplog.text


def test_an_end_is_one_line_that_says_what_ran_and_how_long(
    redis: Redis, worker: JobWorker, caplog: pytest.LogCaptureFixture
) -> None:
    [job] = begun(worker, redis)
    [ending] = settled([job], Completed(result=1))
    caplog.clear()

    told = announce.shown([Ending(settled=ending.settled, outcome=ending.outcome)])

    [said] = [record.getMessage() for record in caplog.records]
    assert said == f"Job {job.id}: completed (Echo, attempt 1, {told[0].working_seconds:.3f} s)"
    assert 0 < told[0].working_seconds < 30


@pytest.mark.parametrize("outcome", [GivenBack(), Unbegun()])
def test_what_is_given_back_stands_at_the_head_in_order_before_what_came_later(
    redis: Redis, worker: JobWorker, outcome: Outcome
) -> None:
    jobs = begun(worker, redis, 5)
    waiting = make_job()
    outbox.push([waiting])

    announce.ended(settled(jobs, outcome), worker_name=worker.name, worker_id=worker.id)

    listed = redis.lrange(keys.queue("default"), 0, -1)
    assert listed == [str(job.id).encode() for job in (*jobs, waiting)]
    assert [redis.hget(keys.entry(job.id), "claim") for job in jobs] == [b"2"] * 5
    assert claim.held(redis, worker.id) == {}


def test_nothing_is_told_of_nothing(redis: Redis) -> None:
    worker = make_worker()

    announce.started([], worker_name=worker.name, worker_id=worker.id)
    announce.ended([], worker_name=worker.name, worker_id=worker.id)

    assert redis.keys() == []


def test_an_end_that_nobody_told_is_told_when_its_id_comes_again(
    redis: Redis, worker: JobWorker
) -> None:
    done, running, deleted = begun(worker, redis, 3)
    settled([done], Completed(result="kept"))  # and its worker died before it said so
    JobStatus.objects.filter(id=deleted.id).delete()

    announce.dropped(
        [done.id, running.id, deleted.id], worker_name=worker.name, worker_id=worker.id
    )

    assert status_in(redis, done) == b"finished"
    assert redis.zscore(keys.finished("default"), str(done.id)) is not None
    assert status_in(redis, running) == b"queued"  # its own worker tells
    assert claim.held(redis, worker.id) == {}


def test_an_end_that_was_told_is_not_told_again(redis: Redis, worker: JobWorker) -> None:
    [job] = begun(worker, redis)
    announce.ended(
        settled([job], Completed(result=None)), worker_name=worker.name, worker_id=worker.id
    )

    announce.dropped([job.id], worker_name=worker.name, worker_id=worker.id)

    assert redis.xlen(keys.results(job.id)) == 1
    assert redis.hget(keys.worker(worker.name), "successful_job_count") == b"1"


def test_a_cancelled_job_that_is_dropped_leaves_no_entry(redis: Redis, worker: JobWorker) -> None:
    job = make_job()
    outbox.push([job])
    JobStatus.objects.filter(id=job.id).move(Status.CANCELLED)

    announce.dropped([job.id], worker_name=worker.name, worker_id=worker.id)

    assert not redis.exists(keys.entry(job.id))


def test_a_redis_that_is_full_costs_the_dashboard_not_the_caller(
    redis: Redis, worker: JobWorker
) -> None:
    jobs = begun(worker, redis, 2)
    redis.config_set("maxmemory", "1")
    try:
        announce.started(jobs, worker_name=worker.name, worker_id=worker.id)
        endings = settled(jobs, Completed(result=None))
        announce.ended(endings, worker_name=worker.name, worker_id=worker.id)
    finally:
        redis.config_set("maxmemory", "0")

    assert not redis.exists(*(keys.entry(job.id) for job in jobs))
    assert claim.held(redis, worker.id) == {}


def test_what_is_given_back_as_postgresql_goes_away_is_left_to_the_relay(
    redis: Redis, worker: JobWorker
) -> None:
    with unit_of_work():
        [job] = begun(worker, redis)
        endings = settled([job], Unbegun())
        lose_the_connection()
        announce.ended(endings, worker_name=worker.name, worker_id=worker.id)

    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert redis.llen(keys.queue("default")) == 0


def test_what_is_dropped_as_postgresql_goes_away_stays_claimed(
    redis: Redis, worker: JobWorker
) -> None:
    with unit_of_work():
        [done] = begun(worker, redis)
        settled([done], Completed(result="kept"))
        lose_the_connection()
        announce.dropped([done.id], worker_name=worker.name, worker_id=worker.id)

    assert claim.held(redis, worker.id) == {str(done.id): "default"}
    announce.dropped([done.id], worker_name=worker.name, worker_id=worker.id)
    assert status_in(redis, done) == b"finished"
