from __future__ import annotations

import base64
import zlib
from datetime import timedelta

import pytest
from django.utils import timezone
from redis import Redis

from jobs.broker import keys
from jobs.maintenance import relay, shown
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.admin.entries import make_shown_job, show_worker
from tests.make import make_attempt, make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def ended(status: Status, *, seconds_ago: float = 1, **fields) -> JobStatus:
    job = make_job(status=status, **fields)
    JobStatus.objects.filter(id=job.id).update(
        finished_at=timezone.now() - timedelta(seconds=seconds_ago)
    )
    make_attempt(job, worker_name="worker-1", outcome=status)
    return job


def members(redis: Redis, key: str) -> list[str]:
    return [member.decode() for member in redis.zrange(key, 0, -1)]


def dump(redis: Redis) -> dict[bytes, object]:
    hashes = [key for key in redis.keys("*") if redis.type(key) == b"hash"]
    return {key: redis.hgetall(key) for key in hashes}


@pytest.mark.parametrize("status", [Status.STARTED, Status.COMPLETED, Status.FAILED])
def test_a_flushed_dashboard_shows_what_it_showed(redis: Redis, status: Status):
    worker = show_worker()
    job = make_shown_job(status, worker=worker)
    JobStatus.objects.update(started_at=job.created_at)
    registry = {
        Status.STARTED: keys.started("default"),
        Status.COMPLETED: keys.finished("default"),
        Status.FAILED: keys.failed("default"),
    }[status]
    before = set(redis.hgetall(keys.entry(job.id)))
    listed = members(redis, registry)
    redis.flushdb()

    assert shown.tell_anew() == 1

    assert members(redis, registry) == listed
    missing = before - set(redis.hgetall(keys.entry(job.id)))
    assert missing <= {b"timeout", b"last_heartbeat"} - ({b"timeout"} & {status})
    assert shown.tell_anew() == 0


def test_the_end_of_a_failed_job_shows_its_traceback(redis: Redis):
    job = ended(Status.FAILED)

    shown.tell_anew()

    ((_, result),) = redis.xrange(keys.results(job.id))
    assert b"ValueError: no" in zlib.decompress(base64.b64decode(result[b"exc_string"]))
    assert b"ValueError: no" in zlib.decompress(redis.hget(keys.entry(job.id), "exc_info"))


def test_an_end_is_shown_for_what_is_left_of_its_time(redis: Redis):
    job = ended(Status.COMPLETED, seconds_ago=3_000)
    ended(Status.COMPLETED, seconds_ago=3_700)
    old = ended(Status.FAILED, seconds_ago=80_000)

    assert shown.tell_anew() == 2

    assert 500 < redis.ttl(keys.entry(job.id)) <= 600
    assert 6_000 < redis.ttl(keys.results(old.id)) <= 6_400


def test_the_newest_are_told_anew_and_no_more(redis: Redis, monkeypatch):
    monkeypatch.setattr(shown, "NEWEST_IN_ALL", 3)
    monkeypatch.setattr(shown, "TOLD_AT_ONCE", 2)
    jobs = [ended(Status.FAILED, seconds_ago=seconds) for seconds in (50, 40, 30, 20, 10)]

    assert shown.tell_anew() == 3

    assert members(redis, keys.failed("default")) == [str(job.id) for job in jobs[2:]]


def test_large_and_secret_values_stay_in_their_rows(redis: Redis):
    ended(Status.COMPLETED, params={"value": "p" * 100_000}, result={"value": "r" * 100_000})
    ended(Status.FAILED, job_class="Secretive", params={"user": "ann", "password": "hunter2-xyz"})

    assert shown.tell_anew() == 2

    everything = str(dump(redis)) + str([redis.dump(key) for key in redis.keys("rq:results:*")])
    assert "hunter2-xyz" not in everything
    assert len(everything) < 10_000


def test_what_redis_still_shows_is_left_alone(redis: Redis):
    show_worker()
    job = make_shown_job(Status.FAILED)
    before = dump(redis), redis.xlen(keys.results(job.id))

    assert shown.tell_anew() == 0

    assert (dump(redis), redis.xlen(keys.results(job.id))) == before


def test_the_check_of_all_rows_tells_it(redis: Redis):
    job = ended(Status.FAILED)

    relay.push_lost()

    assert members(redis, keys.failed("default")) == [str(job.id)]
