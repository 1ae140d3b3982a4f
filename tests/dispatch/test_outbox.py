"""From committed rows to Redis, never before the commit and never at the caller's cost."""

from __future__ import annotations

import contextlib
import json
import time
from datetime import timedelta

import pytest
from django.db import transaction
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.broker import client, keys
from jobs.dispatch import outbox
from jobs.lifecycle import control
from jobs.models import JobStatus
from tests import jobs, wait
from tests.servers import OwnPostgres, OwnRedis

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def dead_redis(settings, tmp_path):
    """A Redis that isn't there; the breaker is as new before and after."""
    place = {"URL": f"unix://{tmp_path}/nobody.sock"}
    outbox.breaker.close()
    client._client.cache_clear()
    settings.RQ_QUEUES = {name: {**queue, **place} for name, queue in settings.RQ_QUEUES.items()}
    yield
    outbox.breaker.close()
    client._client.cache_clear()


def queued(redis: Redis, queue: str = "default") -> list[str]:
    return [item.decode() for item in redis.lrange(keys.queue(queue), 0, -1)]


def test_ids_are_pushed_in_the_order_of_dispatch(redis: Redis) -> None:
    made = [jobs.Echo.dispatch(value=str(n)) for n in range(3)]

    assert queued(redis) == [str(job.id) for job in made]


def test_nothing_is_pushed_before_the_commit(redis: Redis) -> None:
    with transaction.atomic():
        job = jobs.Echo.dispatch()
        assert queued(redis) == []

    assert queued(redis) == [str(job.id)]


def test_a_rolled_back_dispatch_leaves_nothing(redis: Redis) -> None:
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        jobs.Echo.dispatch()
        raise ZeroDivisionError

    assert not JobStatus.objects.exists()
    assert redis.keys() == []


def test_a_rolled_back_savepoint_takes_only_its_own_jobs(redis: Redis) -> None:
    with transaction.atomic():
        first = jobs.Echo.dispatch()
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            jobs.Echo.dispatch()
            raise ZeroDivisionError
        last = jobs.Echo.dispatch()

    assert queued(redis) == [str(first.id), str(last.id)]
    assert set(JobStatus.objects.values_list("id", flat=True)) == {first.id, last.id}


def test_a_savepoint_in_between_does_not_change_the_order(redis: Redis) -> None:
    with transaction.atomic():
        first = jobs.Echo.dispatch()
        with transaction.atomic():
            second = jobs.Echo.dispatch()
        third = jobs.Echo.dispatch()

    assert queued(redis) == [str(job.id) for job in (first, second, third)]


def pushes(redis: Redis) -> int:
    """Return how many pushes Redis has seen: each is one script."""
    return int(redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def test_the_jobs_of_one_transaction_are_pushed_at_once(redis: Redis) -> None:
    jobs.Echo.dispatch()
    before = pushes(redis)
    with transaction.atomic():
        for _ in range(10):
            jobs.Echo.dispatch()
        jobs.Echo.dispatch_many([{}] * 10, queue="low")

    assert pushes(redis) - before == 1
    assert [len(queued(redis, queue)) for queue in ("default", "low")] == [11, 10]


def test_a_redis_that_has_forgotten_the_script_is_told_it_again(redis: Redis, caplog) -> None:
    jobs.Echo.dispatch()
    redis.script_flush()

    made = [jobs.Echo.dispatch() for _ in range(2)]
    outbox.hear()

    assert queued(redis)[1:] == [str(job.id) for job in made]
    assert "unreachable" not in caplog.text


def test_the_entry_shows_redacted_params_and_the_claim(redis: Redis) -> None:
    job = jobs.Secretive.dispatch(user="alice", password="correct-horse")

    entry = redis.hgetall(keys.entry(job.id))
    assert json.loads(entry[b"data"]) == [
        "Secretive",
        None,
        [],
        {"user": "alice", "password": "[redacted]"},
    ]
    assert entry[b"claim"] == b"0"


def test_rq_reads_what_is_long_and_what_is_short(redis: Redis) -> None:
    texts = ["x", "y" * 1_000]
    made = [jobs.Echo.dispatch(value=text) for text in texts]

    read = [Job.fetch(str(job.id), connection=redis, serializer=JSONSerializer) for job in made]

    assert [job.kwargs for job in read] == [{"value": text} for text in texts]
    assert redis.hstrlen(keys.entry(made[1].id), "data") < 200


def test_large_params_are_not_copied_to_redis(redis: Redis) -> None:
    job = jobs.Echo.dispatch(value="x" * 100_000)

    assert redis.memory_usage(keys.entry(job.id)) < 5_000


def test_redis_down_costs_the_caller_nothing_but_a_log_line(dead_redis, caplog) -> None:
    job = jobs.Echo.dispatch()

    assert JobStatus.objects.get().id == job.id
    assert "the relay will push 1 job(s) later" in caplog.text


def test_after_a_failed_push_the_next_ones_do_not_try(dead_redis, caplog) -> None:
    jobs.Echo.dispatch()
    caplog.clear()

    begun = time.monotonic()
    for _ in range(20):
        jobs.Echo.dispatch()

    assert time.monotonic() - begun < 2
    assert "unreachable" not in caplog.text


def test_a_push_that_no_answer_came_to_is_told_of_at_the_next(own_redis: OwnRedis, caplog) -> None:
    jobs.Echo.dispatch()
    own_redis.pause()
    lost = jobs.Echo.dispatch()
    assert "unreachable" not in caplog.text
    own_redis.kill()

    jobs.Echo.dispatch()

    [line] = [line for line in caplog.records if "unreachable" in line.message]
    assert line.job_ids == [str(lost.id)]


def test_a_push_lost_in_an_outage_that_is_over_starts_no_new_one(own_redis: OwnRedis, caplog):
    jobs.Echo.dispatch()
    own_redis.pause()
    jobs.Echo.dispatch()
    outbox.breaker.trip()  # another thread has found out
    own_redis.kill()
    own_redis.start()
    wait.until("the breaker closed", lambda: not outbox.breaker.is_open)

    job = jobs.Echo.dispatch()

    assert queued(client.for_work()) == [str(job.id)]
    assert "the relay will push 1 job(s) later" in caplog.text
    assert not outbox.breaker.is_open


def test_a_push_that_has_to_be_repeated_is_so_before_the_jobs_cancel(redis: Redis) -> None:
    jobs.Echo.dispatch()
    redis.script_flush()
    job = jobs.Echo.dispatch()

    control.cancel([job.id], by="ann")
    jobs.Echo.dispatch()

    assert not redis.exists(keys.entry(job.id))


def test_a_job_for_later_is_not_pushed(redis: Redis) -> None:
    jobs.Echo.dispatch(run_at=timedelta(hours=1))

    assert redis.keys() == []


@pytest.mark.process
def test_a_transaction_that_django_rolls_back_without_a_word_pushes_nothing(
    own_postgres: OwnPostgres, redis: Redis
):
    with transaction.atomic():
        jobs.Echo.dispatch(value="x")
        with transaction.atomic():
            own_postgres.cut_connections()
            transaction.set_rollback(True)  # its savepoint can't be rolled back: all is

    assert not JobStatus.objects.exists()
    assert not redis.keys("rq:job:*")
