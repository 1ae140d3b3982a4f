"""A plain rq job in our queues runs as under rq; a pickle never runs."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django_rq
import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from redis import Redis
from rq.command import send_stop_job_command
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.broker import keys
from tests import jobs, wait
from tests.servers import OwnRedis
from tests.workers import Workers

pytestmark = [pytest.mark.process]


@contextmanager
def other_transaction() -> Iterator[CursorWrapper]:
    """A transaction that django-rq's on_commit does not wait for."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        yield cursor
    other.rollback()
    other.close()


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_plain_job_runs_and_keeps_its_result(workers: Workers, redis: Redis) -> None:
    plain = django_rq.get_queue("default").enqueue(jobs.say_hello, "alice")

    worker = workers.run("default", "--burst")

    plain = Job.fetch(plain.id, connection=redis, serializer=JSONSerializer)
    assert plain.get_status() == "finished"
    assert plain.latest_result().return_value == "hello alice"
    assert f"Working on {plain.id}" in worker.log


def test_a_plain_job_that_fails_shows_its_traceback(workers: Workers, redis: Redis) -> None:
    plain = django_rq.get_queue("default").enqueue(jobs.fail_plainly)
    after = jobs.Echo.dispatch()

    workers.run("default", "--burst")

    plain = Job.fetch(plain.id, connection=redis, serializer=JSONSerializer)
    after.refresh_from_db()
    assert (plain.get_status(), after.status) == ("failed", "completed")
    assert "plain failure" in plain.latest_result().exc_string


def test_our_own_timeouts_still_strike_after_a_plain_job(workers: Workers) -> None:
    django_rq.get_queue("default").enqueue(jobs.say_hello, "alice")
    late = jobs.SleepTooLong.dispatch()

    workers.run("default", "--burst")

    late.refresh_from_db()
    assert late.error.startswith("TimedOut")


def test_a_pickled_entry_is_put_aside_and_never_unpickled(
    workers: Workers, redis: Redis, tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    data = pickle.dumps(("builtins.print", None, (Trap(sprung),), {}))
    redis.hset(
        keys.entry("planted"),
        mapping={
            "data": zlib.compress(data),
            "status": "queued",
            "origin": "default",
            "created_at": "2026-01-01T00:00:00.000000Z",
        },
    )
    redis.rpush(keys.queue("default"), "planted")
    after = jobs.Echo.dispatch()

    worker = workers.run("default", "--burst")

    after.refresh_from_db()
    assert after.status == "completed"
    assert not sprung.exists()
    assert "is not JSON and was put aside" in worker.log
    assert redis.zscore(keys.failed("default"), "planted") is not None


def test_an_entry_of_nobody_is_dropped(workers: Workers, redis: Redis) -> None:
    redis.rpush(keys.queue("default"), "nobody", "01a20cb1-ece2-75b2-b161-375ea598a6c4")
    after = jobs.Echo.dispatch()

    workers.run("default", "--burst")

    wait.until_status(after, "completed", limit_seconds=1)
    assert redis.llen(keys.queue("default")) == 0


def looks(redis: Redis) -> int:
    return redis.info("commandstats").get("cmdstat_blpop", {}).get("calls", 0)


def test_suspended_workers_take_nothing_until_resumed(workers: Workers, redis: Redis) -> None:
    workers.start("default")
    redis.set(keys.SUSPENDED, "1")
    job = jobs.Echo.dispatch()
    before = looks(redis)
    wait.until("a few looks at the queue", lambda: looks(redis) > before + 4)
    assert redis.llen(keys.queue("default")) == 1

    redis.delete(keys.SUSPENDED)

    wait.until_status(job, "completed")


def test_an_entry_of_ours_without_a_row_is_dropped(workers: Workers, redis: Redis) -> None:
    gone, after = jobs.Echo.dispatch(), jobs.Echo.dispatch()
    gone.delete()

    worker = workers.run("default", "--burst")

    after.refresh_from_db()
    assert after.status == "completed"
    assert "is a job without a row: dropped" in worker.log


def test_a_plain_job_whose_runner_is_killed_fails_at_once(workers: Workers, redis: Redis) -> None:
    plain = django_rq.get_queue("default").enqueue(jobs.die_plainly)
    after = jobs.Echo.dispatch()

    workers.run("default", "--burst")

    plain = Job.fetch(plain.id, connection=redis, serializer=JSONSerializer)
    after.refresh_from_db()
    assert (plain.get_status(), after.status) == ("failed", "completed")
    assert "killed by SIGKILL" in plain.latest_result().exc_string
    assert redis.zcard(keys.started("default")) == 0


def test_rqs_own_stop_ends_a_running_plain_job(workers: Workers, redis: Redis) -> None:
    workers.start("default")
    plain = django_rq.get_queue("default").enqueue(jobs.sleep_plainly, 60)
    wait.until("its start", lambda: plain.get_status(refresh=True) == "started")

    send_stop_job_command(redis, plain.id, serializer=JSONSerializer)

    wait.until("its end", lambda: plain.get_status(refresh=True) == "failed", limit_seconds=15)


def test_a_plain_job_claimed_as_redis_goes_away_runs_when_it_is_back(
    workers: Workers, own_redis: OwnRedis
) -> None:
    worker = workers.start("default", lease=200.0, heartbeat=60.0)
    queue = django_rq.get_queue("default")
    with other_transaction() as cursor:
        cursor.execute("LOCK TABLE job_statuses IN ACCESS EXCLUSIVE MODE")
        plain = queue.enqueue(jobs.say_hello, "alice")
        wait.until("its claim", lambda: not queue.count, scene=lambda: worker.log)
        own_redis.pause()
    worker.until_said("Redis doesn't answer")
    own_redis.resume()

    wait.until("its end", lambda: plain.get_status(refresh=True) == "finished")
