from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings as hypothesis_settings
from redis import Redis

from jobs.broker import client
from tests.clock import Clock, swapped
from tests.lanes import Lanes
from tests.schedulers import Schedulers
from tests.servers import OwnPostgres, OwnRedis, migrated_postgres, own_redis_for
from tests.workers import Workers

# How long one example takes says more about the machine's other work than about the code.
hypothesis_settings.register_profile("jobsite", deadline=None)
hypothesis_settings.load_profile("jobsite")


def pytest_configure(config: pytest.Config) -> None:
    # Those of a running `make run` are not meant, nor read: tests/settings.py names ENVIRONMENT.
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        pytest.exit(
            "The tests need PostgreSQL and Valkey: run `make test`, or "
            "`manage.py devstack exec -- pytest ...`, or set DATABASE_URL and REDIS_URL.",
            returncode=4,
        )
    config.pluginmanager.register(Lanes(config))


@pytest.fixture
def redis() -> Iterator[Redis]:
    """An empty Redis, emptied again afterwards."""
    connection = client.for_work()
    connection.flushdb()
    yield connection
    connection.flushdb()


@pytest.fixture
def clock(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The database's clock, to be moved: `clock.advance(timedelta(hours=1))`; of this process."""
    with swapped(monkeypatch) as its_clock:
        yield its_clock


@pytest.fixture
def workers(transactional_db: None, redis: Redis) -> Iterator[Workers]:
    """Real worker processes: `workers.start("high", "low")`; none outlives its test."""
    started = Workers()
    yield started
    started.end()


@pytest.fixture
def schedulers(transactional_db: None, redis: Redis) -> Iterator[Schedulers]:
    """Real scheduler processes: `schedulers.start()`; none outlives its test."""
    started = Schedulers()
    yield started
    started.end()


@pytest.fixture
def own_redis(settings) -> Iterator[OwnRedis]:
    """A Redis that this test may kill or pause; this process and its workers use it.

    Name it after `workers`: the shared one is emptied before it takes its place.
    """
    with own_redis_for(settings) as server:
        yield server


@pytest.fixture
def own_postgres(transactional_db: None) -> Iterator[OwnPostgres]:
    """A migrated PostgreSQL that this test may kill; this process and its workers use it.

    Name it before `workers`, which then end first.
    """
    with migrated_postgres() as server:
        yield server
