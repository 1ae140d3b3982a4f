from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from jobs.broker import client, memory
from jobs.insights import deploy
from jobs.maintenance import relay

pytestmark = [pytest.mark.django_db, pytest.mark.redis]


@pytest.fixture
def evicting(redis: Redis) -> Iterator[Redis]:
    """A Redis that throws keys away when its memory is full."""
    before = redis.config_get("maxmemory-policy")["maxmemory-policy"]
    redis.config_set("maxmemory-policy", "allkeys-lru")
    yield redis
    redis.config_set("maxmemory-policy", before)


@pytest.mark.usefixtures("redis")
def test_a_redis_that_keeps_its_keys_is_no_fault():
    assert list(deploy.faults()) == []


@pytest.mark.usefixtures("evicting")
def test_a_redis_that_may_throw_keys_away_is_a_fault_with_its_cure():
    (said,) = deploy.faults()

    assert "maxmemory-policy is allkeys-lru" in said
    assert "Set it to noeviction." in said


FORBID_INFO = ["ACL", "SETUSER", "asked", "on", ">pw", "~*", "+@all", "-info"]


def test_a_redis_that_forbids_the_question_is_no_fault(redis: Redis):
    redis.execute_command(*FORBID_INFO)
    with redis.client() as only:
        only.execute_command("AUTH", "asked", "pw")

        assert memory.fault(only) == ""

        only.connection.disconnect()  # nobody else is to have this login
    redis.execute_command("ACL", "DELUSER", "asked")


def test_the_log_says_it_once_for_each_redis(evicting: Redis, caplog: pytest.LogCaptureFixture):
    evicting.flushdb()
    relay.push_lost()
    relay.push_lost()

    assert caplog.text.count("maxmemory-policy is allkeys-lru") == 1


def test_a_redis_that_is_away_is_a_fault(
    settings,
):
    settings.RQ_QUEUES = {
        name: {**queue, "URL": "unix:///nonexistent/redis.sock"}
        for name, queue in settings.RQ_QUEUES.items()
    }
    client._client.cache_clear()

    (said,) = deploy.faults()

    client._client.cache_clear()
    assert said.startswith("Redis is unreachable: jobs can be dispatched, but none starts (")
