from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from jobs.broker import client
from jobs.dev import folder
from tests.workers import Workers

BASE_DIR = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # The servers of a running `make run` are not meant: settings read their addresses from a file.
    given = folder.given_environment(BASE_DIR / "var" / "devstack.env")
    if not (given.get("DATABASE_URL") and given.get("REDIS_URL")):
        pytest.exit(
            "The tests need PostgreSQL and Valkey: run `make test`, or "
            "`manage.py devstack exec -- pytest ...`, or set DATABASE_URL and REDIS_URL.",
            returncode=4,
        )


@pytest.fixture
def redis() -> Iterator[Redis]:
    """An empty Redis, emptied again afterwards."""
    connection = client.for_work()
    connection.flushdb()
    yield connection
    connection.flushdb()


@pytest.fixture
def workers(transactional_db: None, redis: Redis) -> Iterator[Workers]:
    """Real worker processes: `workers.start("high", "low")`; none outlives its test."""
    started = Workers()
    yield started
    started.end()
