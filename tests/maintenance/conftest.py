from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis

from jobs.broker import client
from jobs.dispatch import outbox


@pytest.fixture(autouse=True)
def production_times(settings) -> None:
    """The waits that users have; nothing here waits for them."""
    times = {"HEARTBEAT": timedelta(seconds=5), "LEASE": timedelta(seconds=30)}
    settings.JOBS = settings.JOBS | times


@pytest.fixture
def redis(redis: Redis) -> Iterator[Redis]:
    """The tests' Redis; what an earlier test found unreachable is forgotten."""
    outbox.breaker.close()
    yield redis
    outbox.breaker.close()


@pytest.fixture
def dead_redis(redis: Redis, settings) -> Iterator[Callable[[], Redis]]:
    """Nobody listens where Redis should be, until the fixture is called."""
    living = settings.RQ_QUEUES

    def revive() -> Redis:
        settings.RQ_QUEUES = living
        client._client.cache_clear()
        outbox.breaker.close()
        return redis

    address = "unix:///nonexistent/redis.sock"
    settings.RQ_QUEUES = {name: {**queue, "URL": address} for name, queue in living.items()}
    client._client.cache_clear()
    yield revive
    revive()
