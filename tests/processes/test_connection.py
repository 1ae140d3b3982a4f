"""The connection for a unit of work: whole before, clean after, and warm where work is awaited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.processes import connection as job_connections
from jobs.processes.connection import discard, keep_warm, unit_of_work
from tests.servers import OwnPostgres

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection has been used, longer ago than it is trusted to stand."""
    backend_pid()
    monkeypatch.setattr(job_connections._last_use, "at", 0.0)


def backend_pid() -> int:
    with unit_of_work(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def end_backend() -> None:
    """Have the server close the connection, as after a restart."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid]
        )
    other.close()


@contextmanager
def round_trips() -> Iterator[list[str]]:
    """Within, what is asked of the server by way of this connection's own cursors."""
    asked: list[str] = []

    class Cursor(connection.Database.extensions.cursor):  # type: ignore[misc]
        def execute(self, sql: str, *rest: Any) -> None:
            asked.append(sql)
            super().execute(sql, *rest)

    connection.connection.cursor_factory = Cursor
    try:
        yield asked
    finally:
        connection.connection.cursor_factory = None


def test_a_warm_connection_is_not_checked_by_the_work_that_comes(idle: None) -> None:
    keep_warm()

    with round_trips() as asked:
        backend_pid()

    assert asked == ["SELECT pg_backend_pid()"]


def test_a_connection_that_stood_idle_is_checked_by_the_work_that_comes(idle: None) -> None:
    with round_trips() as asked:
        backend_pid()

    assert asked == ["SELECT 1", "SELECT pg_backend_pid()"]


def test_a_broken_connection_is_replaced_before_there_is_work(idle: None) -> None:
    end_backend()

    keep_warm()

    assert connection.connection is not None
    assert backend_pid() == connection.connection.info.backend_pid


def test_a_connection_that_is_too_old_is_replaced_before_there_is_work(idle: None) -> None:
    old = backend_pid()
    job_connections._last_use.at = 0.0
    connection.close_at = 0.0

    keep_warm()

    assert connection.connection.info.backend_pid != old


def test_a_connection_in_use_is_left_alone() -> None:
    backend_pid()

    with round_trips() as asked:
        keep_warm()

    assert asked == []


def test_a_server_that_is_away_is_left_for_the_next_work_to_find(own_postgres: OwnPostgres) -> None:
    backend_pid()
    job_connections._last_use.at = 0.0
    own_postgres.kill()

    keep_warm()
    own_postgres.start()

    assert backend_pid()


def open_a_transaction(wrapper: BaseDatabaseWrapper) -> None:
    wrapper.set_autocommit(False)
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.fixture
def late() -> Iterator[str]:
    """The name of a database that nobody knows yet."""
    yield "late"
    with suppress(AttributeError):
        discard(connections["late"])
        del connections["late"]
    connections.databases.pop("late", None)


def test_a_transaction_in_a_database_that_was_added_is_rolled_back(late: str) -> None:
    backend_pid()
    with unit_of_work():
        connections.databases[late] = connection.settings_dict
        connections[late] = connection.copy()
        open_a_transaction(connections[late])

    assert connections[late].connection is None


def test_a_transaction_of_a_connection_that_took_anothers_place_is_rolled_back(late: str) -> None:
    connections.databases[late] = connection.settings_dict
    connections[late] = connection.copy()
    with unit_of_work():
        open_a_transaction(connections[late])
    with unit_of_work():
        connections[late] = connection.copy()
        open_a_transaction(connections[late])

    assert connections[late].connection is None
