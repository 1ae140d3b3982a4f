from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from random import SystemRandom

import pytest
from django.db import DatabaseError, connection

from jobs.builtin import truncate_table
from jobs.builtin.errors import TableRefused
from jobs.builtin.truncate_table import TruncateTable
from jobs.retry import RetryPolicy, decide
from tests.builtin.conftest import rows, run

pytestmark = pytest.mark.django_db


def test_an_allowed_table_is_emptied(allow):
    run("CREATE TABLE public.stats AS SELECT 1 AS value")
    allow(TRUNCATABLE_TABLES=["public.stats"])

    result = TruncateTable(schema="public", table_name="stats")._perform()

    assert result == "Table public.stats truncated successfully"
    assert rows("SELECT count(*) FROM public.stats") == [(0,)]


def test_a_table_not_in_the_setting_is_refused_and_kept(allow):
    run("CREATE TABLE public.stats AS SELECT 1 AS value")
    allow(TRUNCATABLE_TABLES=["public.other"])

    with pytest.raises(TableRefused, match=r'public\.stats .* JOBS\["TRUNCATABLE_TABLES"\]'):
        TruncateTable(schema="public", table_name="stats")._perform()

    assert rows("SELECT count(*) FROM public.stats") == [(1,)]


def test_the_default_allows_no_table(settings):
    settings.JOBS = {}

    with pytest.raises(TableRefused):
        TruncateTable(schema="public", table_name="job_statuses")._perform()


def test_a_name_is_quoted(allow):
    run('CREATE TABLE public."odd ""name""; --" AS SELECT 1 AS value')
    allow(TRUNCATABLE_TABLES=['public.odd "name"; --'])

    TruncateTable(schema="public", table_name='odd "name"; --')._perform()

    assert rows('SELECT count(*) FROM public."odd ""name""; --"') == [(0,)]


def test_an_entry_with_two_dots_means_one_table_only(allow):
    run('CREATE SCHEMA "a.b"')
    run('CREATE TABLE "a.b".c AS SELECT 1 AS value')
    allow(TRUNCATABLE_TABLES=["a.b.c"])

    with pytest.raises(TableRefused):
        TruncateTable(schema="a.b", table_name="c")._perform()


def wait_after(error: BaseException) -> timedelta | None:
    policy = RetryPolicy(
        base=timedelta(seconds=1),
        cap=timedelta(seconds=1),
        retry_on=TruncateTable.spec.retry_on,
        discard_on=TruncateTable.spec.discard_on,
    )
    return decide(policy, error, attempt=1, max_attempts=5, rand=SystemRandom()).wait


def test_a_refusal_is_not_retried():
    error = TableRefused("public.stats", setting="TRUNCATABLE_TABLES", verb="truncated")

    assert wait_after(error) is None


@pytest.mark.parametrize("table_name", ["absent", "parents"])
def test_a_table_that_cannot_be_truncated_is_not_tried_again(allow, table_name):
    run("CREATE TABLE public.parents (id int PRIMARY KEY)")
    run("CREATE TABLE public.children (parent int REFERENCES public.parents)")
    allow(TRUNCATABLE_TABLES=["public.absent", "public.parents"])

    with pytest.raises(DatabaseError) as refused:
        TruncateTable(schema="public", table_name=table_name)._perform()

    assert wait_after(refused.value) is None


@pytest.mark.django_db(transaction=True)
def test_a_table_in_use_is_tried_again(allow, monkeypatch):
    monkeypatch.setattr(truncate_table, "_LOCK_TIMEOUT", "50ms")
    allow(TRUNCATABLE_TABLES=["public.stats"])
    run("CREATE TABLE public.stats AS SELECT 1 AS value")
    try:
        with closing(connection.copy("reader")) as reader, reader.cursor() as cursor:
            cursor.execute("BEGIN; SELECT 1 FROM public.stats")
            with pytest.raises(DatabaseError, match="lock timeout") as refused:
                TruncateTable(schema="public", table_name="stats")._perform()
    finally:
        run("DROP TABLE public.stats")

    assert wait_after(refused.value) is not None
