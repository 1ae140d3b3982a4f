"""This process's connection to Redis: what it costs to make one."""

from __future__ import annotations

import importlib.metadata

import pytest
from redis import Redis

from jobs.broker import client

pytestmark = pytest.mark.redis


def test_a_new_connection_reads_no_packages_metadata(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(importlib.metadata, "version", read.append)

    connection = redis.connection_pool.make_connection()
    connection.connect()
    connection.disconnect()

    assert client.for_work() is redis
    assert read == []
