"""Statements that are parsed and planned once a connection: prepared, forgotten, never trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.models import prepared
from tests import others

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "SELECT %(one)s + %(other)s, (SELECT count(*) FROM kept)"
TYPES = {"one": "int", "other": "int"}


@pytest.fixture(autouse=True)
def table(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id int PRIMARY KEY, text varchar(10), wide char(600))")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE kept")


def ask(one: Any = 1, text: str = TEXT) -> Any:
    with connection.cursor() as cursor:
        prepared.execute(cursor, text, TYPES, {"one": one, "other": 2})
        return cursor.fetchall()


def on_the_server() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%kept%'")
        return int(cursor.fetchone()[0])


def test_a_statement_is_prepared_once_and_each_call_is_one_round_trip() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert [ask(number) for number in range(3)] == [[(number + 2, 0)] for number in range(3)]

    assert len(queries) == 3
    assert ["PREPARE" in query["sql"] for query in queries] == [True, False, False]
    assert on_the_server() == 1


def test_each_connection_has_its_own() -> None:
    ask()

    def elsewhere() -> Any:
        return ask(), on_the_server()

    assert others.at_once(elsewhere).result(30) == ([(3, 0)], 1)
    connection.close()
    assert (ask(), on_the_server()) == ([(3, 0)], 1)


def test_what_the_server_has_forgotten_is_prepared_anew() -> None:
    ask()
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")

    assert ask() == [(3, 0)]
    assert ask() == [(3, 0)]
    assert on_the_server() == 1


def test_what_another_process_has_left_on_the_server_is_used() -> None:
    # A pooler hands a server's session on, with what was prepared in it.
    ask()
    prepared._calls.pop(connection.connection)

    assert ask() == [(3, 0)]
    assert on_the_server() == 1


def test_another_statement_of_another_process_is_not_taken_for_ours() -> None:
    ask()
    prepared._calls.pop(connection.connection)

    assert ask(text=TEXT.replace("+", "-")) == [(-1, 0)]


def test_a_pooler_that_nobody_has_declared_refuses_no_call() -> None:
    # Each call meets a session that knows nothing of the one before, or has been prepared already.
    def another_session(execute: Any, sql: str, *rest: Any) -> Any:
        if "EXECUTE" in sql:
            with connection.connection.cursor() as raw:
                raw.execute("DEALLOCATE ALL")
                if sql.startswith("PREPARE"):
                    raw.execute(sql.split("; ", maxsplit=1)[0])
        return execute(sql, *rest)

    with connection.execute_wrapper(another_session):
        assert [ask(number) for number in range(6)] == [[(number + 2, 0)] for number in range(6)]


def test_a_migration_of_its_columns_is_survived() -> None:
    text = "SELECT %(one)s, %(other)s, text FROM kept"
    ask(text=text)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE kept ALTER text TYPE bigint USING NULL")
        cursor.execute("INSERT INTO kept VALUES (1, 5)")

    assert ask(text=text) == [(1, 2, 5)]
    with CaptureQueriesContext(connection) as queries:
        ask(text=text)
        ask(text=text)
    assert len(queries) == 2  # prepared anew: nothing is refused any more


def test_an_error_is_the_callers_and_what_was_prepared_stays() -> None:
    with pytest.raises(DataError):
        ask("x")
    with pytest.raises(DataError):
        ask("x")

    assert ask() == [(3, 0)]
    assert on_the_server() == 1


def test_in_a_transaction_and_behind_a_pooler_nothing_is_prepared(settings: Any) -> None:
    with transaction.atomic():
        assert ask() == [(3, 0)]
    settings.JOBS = settings.JOBS | {"BEHIND_POOLER": True}

    assert ask() == [(3, 0)]
    assert on_the_server() == 0


def test_nothing_is_prepared_where_the_caller_commits() -> None:
    transaction.set_autocommit(False)
    try:
        assert ask() == [(3, 0)]
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert on_the_server() == 0


def test_what_a_short_connection_may_not_use_again_is_prepared_later() -> None:
    def ask_late() -> None:
        with connection.cursor() as cursor:
            prepared.execute(cursor, TEXT, TYPES, {"one": 1, "other": 2}, plan="", after_uses=2)

    seen = []
    for _ in range(4):
        ask_late()
        seen.append(on_the_server())
    connection.close()
    ask_late()

    assert (seen, on_the_server()) == ([0, 0, 1, 1], 0)


def test_a_plan_made_for_an_empty_table_scans_no_full_one() -> None:
    some = "ARRAY[%(one)s, %(other)s, 3, 4, 5, 6, 7, 8, 9]"
    text = f"SELECT %(one)s, %(other)s, text FROM kept WHERE id = ANY({some})"
    for _ in range(10):
        ask(text=text)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    call = prepared._calls[connection.connection][text].replace("EXECUTE", "EXPLAIN EXECUTE")
    with connection.cursor() as cursor:
        cursor.execute(call, {"one": 1, "other": 2})
        plan = "\n".join(row[0] for row in cursor.fetchall())

    # Of an empty table a planner thinks as of ten pages.
    assert "Index Scan" in plan


def test_the_settings_of_a_call_end_with_it() -> None:
    ask()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')"
        )
        assert cursor.fetchone() == ("on", "auto")
