from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from jobs.broker import client
from jobs.dispatch import outbox


@pytest.fixture
def redis() -> Iterator[Redis]:
    """The tests' Redis, empty; what an earlier test found unreachable is forgotten."""
    client._client.cache_clear()
    outbox._breaker.closed_at = 0.0
    connection = client.for_work()
    connection.flushdb()
    yield connection
    client._client.cache_clear()
    outbox._breaker.closed_at = 0.0


@pytest.fixture
def dead_redis(redis: Redis, settings) -> Callable[[], Redis]:
    """Nobody listens where Redis should be, until the fixture is called."""
    living = settings.RQ_QUEUES

    def revive() -> Redis:
        settings.RQ_QUEUES = living
        client._client.cache_clear()
        outbox._breaker.closed_at = 0.0
        return redis

    address = "unix:///nonexistent/redis.sock"
    settings.RQ_QUEUES = {name: {**queue, "URL": address} for name, queue in living.items()}
    client._client.cache_clear()
    return revive
