from __future__ import annotations

import io
import json

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.builtin.csv_types import BadValue, ColumnType, converter, shown
from tests.builtin.conftest import rows, run

TYPES = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(6,2)",
    "numeric(3,3)",
    "real",
    "double precision",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "uuid",
    "json",
    "jsonb",
    "text",
    "varchar(3)",
    "char(3)",
]
MOMENTS = st.datetimes().map(str)
JSON = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3),
)
VALUES = st.one_of(
    st.text(alphabet="0123456789.-+eE:TZ tfnaiINF_,/\xa0\u0660", min_size=1, max_size=12),
    st.from_regex(r"\A *[+-]?[0-9]{0,12}\.?[0-9]{0,5}([eE][+-]?[0-9]{1,3})? *\Z"),
    st.integers(-(2**64), 2**64).map(str),
    MOMENTS,
    MOMENTS.map(lambda moment: moment + "+05:30"),
    st.dates().map(str),
    st.times().map(str),
    st.uuids().map(str),
    JSON.map(json.dumps),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
).filter(bool)


def make_column(sql: str) -> ColumnType:
    """Make a table with such a column, and return its type as the catalog states it."""
    run(f"DROP TABLE IF EXISTS pg_temp.held; CREATE TEMPORARY TABLE held (value {sql})")
    [(name, modifier)] = rows(
        """
        SELECT t.typname, a.atttypmod
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = 'pg_temp.held'::regclass AND a.attname = 'value'
        """
    )
    return ColumnType(name=name, modifier=modifier, sql=sql)


def copied(text: str) -> str:
    """Return what PostgreSQL makes of a converted field."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pg_temp.held")
        cursor.copy_expert("COPY pg_temp.held FROM STDIN", io.BytesIO(f"{text}\n".encode()))
        cursor.execute("SELECT value::text FROM pg_temp.held")
        return cursor.fetchone()[0]


@pytest.fixture(params=TYPES)
def any_converter(db, request):
    return converter(make_column(request.param))


@pytest.fixture
def text_converter(db):
    return converter(make_column("text"))


MANY = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(value=VALUES)
def test_postgresql_takes_whatever_a_converter_lets_through(any_converter, value):
    try:
        written = any_converter(value)
    except BadValue:
        return
    with transaction.atomic():
        assert copied(written) is not None


@MANY
@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_text_arrives_as_it_was(text_converter, value):
    assert copied(text_converter(value)) == value


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sql", "value", "held"),
    [
        ("integer", " +7 ", "7"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        ("numeric(6,2)", "1234.567", "1234.57"),
        ("numeric", "1e3", "1000"),
        ("double precision", "-1.5E2", "-150"),
        ("double precision", "NaN", "NaN"),
        ("boolean", "Yes", "true"),
        ("boolean", "0", "false"),
        ("date", "2026-11-24", "2026-11-24"),
        ("date", "0044-03-15", "0044-03-15"),
        ("timestamp", "2026-11-24T08:30", "2026-11-24 08:30:00"),
        ("timestamptz", "2026-11-24 08:30:00+02:00", "2026-11-24 06:30:00+00"),
        ("timestamptz", "2026-11-24 08:30:00", "2026-11-24 08:30:00+00"),
        ("uuid", "{0189E5AB-0000-7000-8000-000000000000}", "0189e5ab-0000-7000-8000-000000000000"),
        ("jsonb", '{"a": [1, null]}', '{"a": [1, null]}'),
        ("text", "a\\b\tc\r\nd", "a\\b\tc\r\nd"),
        ("text", "\\N", "\\N"),
        ("text", "\\.", "\\."),
    ],
)
def test_a_good_value_arrives(sql, value, held):
    convert = converter(make_column(sql))

    assert copied(convert(value)) == held


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sql", "value", "reason"),
    [
        ("integer", "1.5", "whole number"),
        ("integer", "1_000", "whole number"),
        ("integer", "\u0661", "whole number"),
        ("integer", "2147483648", "2147483647"),
        ("smallint", "-32769", "-32768"),
        ("numeric(6,2)", "9999.995", "more digits"),
        ("numeric", "1e99999", "more digits"),
        ("numeric", "1,5", "not a number"),
        ("real", "1e39", "out of the range"),
        ("double precision", "1e-400", "out of the range"),
        ("boolean", "maybe", "neither"),
        ("date", "24.11.2026", "not a date"),
        ("date", "2026-02-30", "not a date"),
        ("timestamp", "2026-11-24 08:30:00Z", "time zone"),
        ("timestamptz", "0001-01-01 00:00:00+05:00", "years 1 to 9999"),
        ("time", "25:00", "not a time"),
        ("uuid", "0189e5ab", "not a UUID"),
        ("jsonb", "{'a': 1}", "not JSON"),
        ("jsonb", '"\\u0000"', "NUL"),
        ("jsonb", '"\\ud800"', "surrogate"),
        ("jsonb", "[" * 100_000, "not JSON"),
        ("varchar(3)", "four", "longer than 3"),
    ],
)
def test_a_bad_value_is_refused_with_its_reason(sql, value, reason):
    convert = converter(make_column(sql))

    with pytest.raises(BadValue, match=reason):
        convert(value)


def test_a_type_unknown_here_is_left_to_postgresql():
    assert converter(ColumnType(name="inet", modifier=-1, sql="inet")) is None


def test_a_long_value_is_shown_short():
    assert len(shown("x" * 1_000)) < 80
