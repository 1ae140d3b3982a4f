from __future__ import annotations

from datetime import timedelta
from random import SystemRandom

import pytest

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


def test_a_refusal_is_not_retried():
    spec = TruncateTable.spec
    policy = RetryPolicy(
        base=timedelta(seconds=1),
        cap=timedelta(seconds=1),
        retry_on=spec.retry_on,
        discard_on=spec.discard_on,
    )
    error = TableRefused("public.stats", setting="TRUNCATABLE_TABLES", verb="truncated")

    decision = decide(policy, error, attempt=1, max_attempts=5, rand=SystemRandom())

    assert decision.wait is None
