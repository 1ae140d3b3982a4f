from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.broker import client
from jobs.insights import health
from jobs.insights.health import Health
from tests.make import make_worker

pytestmark = [pytest.mark.django_db, pytest.mark.redis]

# Questions are asked over connections of their own: the rows they read must be committed.
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def silence() -> Iterator[tuple[str, int]]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()


@pytest.fixture
def refusal() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()


@pytest.fixture
def redis_at(settings) -> Iterator[object]:
    """A switch of this process's Redis to another address."""

    def switch(address: tuple[str, int]) -> None:
        host, port = address
        settings.RQ_QUEUES = {"default": {"URL": f"redis://{host}:{port}/0"}}
        client._client.cache_clear()

    yield switch
    client._client.cache_clear()


@pytest.fixture
def database_at(monkeypatch):
    """A switch of new database connections to another address."""

    def switch(address: tuple[str, int]) -> None:
        monkeypatch.setitem(connection.settings_dict, "HOST", address[0])
        monkeypatch.setitem(connection.settings_dict, "PORT", str(address[1]))

    return switch


@pytest.fixture(autouse=True)
def fresh_questions(monkeypatch):
    """Questions that no other test has left open."""
    monkeypatch.setattr(health, "_database", health._Question(health._ask_database))
    monkeypatch.setattr(health, "_redis", health._Question(health._ask_redis))


@committed
def test_a_healthy_site_with_a_worker():
    make_worker()

    assert health.check() == Health(database=True, redis=True, has_worker=True)


def test_no_worker_is_a_detail_and_no_failure():
    found = health.check()

    assert not found.has_worker
    assert found.failed == []


@committed
def test_workers_that_are_gone_do_not_count():
    make_worker(heartbeat_at=timezone.now() - timedelta(hours=1))
    make_worker(stopped_at=timezone.now())
    make_worker(dead_at=timezone.now())

    assert not health.check().has_worker


def test_a_redis_that_is_down_has_failed(redis_at, refusal):
    redis_at(refusal)

    assert health.check().failed == ["redis"]


def test_a_database_that_is_down_has_failed(database_at, refusal):
    database_at(refusal)

    assert health.check().failed == ["database"]


def test_servers_that_hang_have_failed_in_bounded_time(redis_at, database_at, silence):
    redis_at(silence)
    database_at(silence)
    begun = time.monotonic()

    found = health.check(timedelta(seconds=0.5))

    assert found.failed == ["database", "redis"]
    assert time.monotonic() - begun < 1.5


def test_however_often_one_asks_a_hanging_server_gets_one_question(redis_at, database_at, silence):
    redis_at(silence)
    database_at(silence)
    health.check(timedelta(seconds=0.05))
    threads = threading.active_count()

    for _ in range(10):
        health.check(timedelta(seconds=0.01))

    assert threading.active_count() <= threads


def test_a_database_that_is_back_is_found_again(database_at, refusal, monkeypatch):
    database_at(refusal)
    assert health.check().failed == ["database"]

    monkeypatch.undo()

    assert health.check().failed == []
