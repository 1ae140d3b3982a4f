from __future__ import annotations

import gzip
from contextlib import closing, suppress
from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection

from jobs import json_values
from jobs.builtin.errors import (
    FileRefused,
    ImportRefused,
    MappingRefused,
    SourceRefused,
    TableRefused,
)
from jobs.builtin.import_csv import ImportCsv
from jobs.errors import InvalidParams, TooManyRejected
from jobs.models import JobCheckpoint, JobRejectedRow, JobStatus
from jobs.statuses import Status
from tests import contexts
from tests.builtin.conftest import rows, run
from tests.contexts import Listening
from tests.make import make_job

pytestmark = pytest.mark.django_db
ITEMS = "SELECT code, label, amount, price, made FROM public.items ORDER BY code"
HEADER = "code,label,amount\n"


def test_a_file_is_loaded(load):
    result = load("code,label,amount,price,made\na,one,1,1.50,2026-11-24\nb,two,,,2026-11-25\n")

    seconds = result.pop("seconds")
    assert result == {
        "table": "public.items",
        "mode": "append",
        "rows_in": 2,
        "rows_out": 2,
        "rows_rejected": 0,
        "rows_duplicate": 0,
        "rows_unchanged": 0,
        "rejected": [],
    }
    assert 0 <= seconds < 60
    assert rows(ITEMS) == [
        ("a", "one", 1, Decimal("1.50"), date(2026, 11, 24)),
        ("b", "two", None, None, date(2026, 11, 25)),
    ]


def test_a_gzipped_file_is_loaded(load):
    assert load(gzip.compress(f"{HEADER}a,one,1\n".encode()))["rows_out"] == 1


def test_a_small_file_that_unpacks_to_too_much_is_refused_and_loads_nothing(load, allow):
    allow(MAX_IMPORT_BYTES=100_000)
    packed = gzip.compress(HEADER.encode() + b"a,b,1,1,2026-01-01\n" * 100_000)
    assert len(packed) < 100_000

    with pytest.raises(ImportRefused, match="MAX_IMPORT_BYTES"):
        load(packed)

    assert rows("SELECT count(*) FROM public.items") == [(0,)]


def test_an_address_is_loaded(server, items):
    server.answer("/items.csv", f"{HEADER}a,one,1\n".encode())
    address = f"http://127.0.0.1:{server.port}/items.csv"

    assert ImportCsv(source=address, table=items)._perform()["rows_out"] == 1


# --- What may be asked for ---


@pytest.mark.usefixtures("folder")
def test_a_table_not_in_the_setting_is_refused(allow):
    allow(IMPORT_TABLES=["public.other"])

    with pytest.raises(TableRefused, match="IMPORT_TABLES"):
        ImportCsv(source="items.csv", table="public.job_statuses")._perform()


def test_the_defaults_open_nothing(settings):
    settings.JOBS = {}

    with pytest.raises(TableRefused):
        ImportCsv(source="items.csv", table="public.items")._perform()


@pytest.mark.parametrize("table", ["public.absent", "public.seen"])
def test_a_table_that_is_none_is_a_clear_error(load, allow, table):
    run("CREATE VIEW public.seen AS SELECT 1 AS code")
    allow(IMPORT_TABLES=[table])

    with pytest.raises(ImportRefused, match=f"no table {table}"):
        load(HEADER, table=table)


def test_another_scheme_is_refused(items):
    with pytest.raises(SourceRefused):
        ImportCsv(source="file:///etc/passwd", table=items)._perform()


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"table": "items"}, "write schema.table"),
        ({"mode": "merge"}, "mode"),
        ({"key": ["code"]}, "key is only for"),
        ({"delimiter": '"'}, "delimiter"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"max_rejected": -1}, "max_rejected"),
    ],
)
def test_params_that_cannot_be_meant_make_no_job(params, fault):
    with pytest.raises(InvalidParams, match=fault):
        ImportCsv.spec.params.check({"source": "a.csv", "table": "public.items"} | params)


# --- Columns ---


def test_columns_map_headers_and_leave_out_the_rest(load):
    content = "Item Code;Name;Secret\na;one;x\n"

    load(content, columns={"code": "item code", "label": "Name"}, delimiter=";")

    assert rows(ITEMS) == [("a", "one", None, None, date(2000, 1, 1))]


@pytest.mark.parametrize(
    ("content", "params", "fault"),
    [
        ("code,label,colour\n", {}, "no column 'colour'"),
        ("code\n", {}, "'label' needs a value"),
        ("code,label,code\n", {}, "'code' stands there 2 times"),
        (HEADER, {"columns": {"code": "id", "label": "label"}}, "no header 'id'"),
        (HEADER, {"columns": {"codes": "code", "label": "label"}}, "no column 'codes'"),
        (HEADER, {"mode": "upsert", "key": ["label"]}, "no unique index on exactly"),
    ],
)
def test_headers_and_columns_that_do_not_fit_are_a_clear_error(load, content, params, fault):
    with pytest.raises(MappingRefused, match=fault):
        load(content, **params)


def test_a_column_that_only_the_database_fills_is_not_filled(load, allow):
    run(
        "CREATE TABLE public.made (id int GENERATED ALWAYS AS IDENTITY, a int, "
        "twice int GENERATED ALWAYS AS (a * 2) STORED)"
    )
    allow(IMPORT_TABLES=["public.made"])

    with pytest.raises(MappingRefused, match=r"'id' is the database's.*'twice' is the database's"):
        load("id,a,twice\n1,2,4\n", table="public.made")

    load("a\n2\n", table="public.made")
    assert rows("SELECT * FROM public.made") == [(1, 2, 4)]


def test_names_are_quoted(load, allow):
    run('CREATE TABLE public."odd ""table""" ("a ""b"" c%s" text PRIMARY KEY, "{}" text, line int)')
    allow(IMPORT_TABLES=['public.odd "table"'])

    load('"a ""b"" c%s",{},line\nx,y,3\n', table='public.odd "table"', mode="upsert")

    assert rows('SELECT * FROM public."odd ""table"""') == [("x", "y", 3)]


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_a_clear_error(load, content):
    with pytest.raises(FileRefused, match="no header line"):
        load(content)


# --- Rejected rows ---


def test_bad_rows_are_kept_with_line_and_reason_and_the_rest_is_loaded(load):
    result = load(
        f"{HEADER}a,one,1\nb,two,many\nc,three\nd,much too long,4\ne,\0,5\n,empty,6\ng,seven,7\n"
    )

    assert result["rejected"] == [
        {"line": 3, "reason": "amount 'many' is not a whole number"},
        {"line": 4, "reason": "has 2 fields, not 3"},
        {"line": 5, "reason": "label 'much too long' is longer than 10 characters"},
        {"line": 6, "reason": "label holds a NUL character"},
    ]
    assert (result["rows_in"], result["rows_out"], result["rows_rejected"]) == (7, 3, 4)
    assert not list(json_values.faults(result))


def test_an_empty_field_is_null_or_where_that_may_not_be_an_empty_text(load, allow):
    run("CREATE TABLE public.empties (a text, b text NOT NULL, c int, d int NOT NULL)")
    allow(IMPORT_TABLES=["public.empties"])

    result = load("a,b,c,d\n,,,1\n,,,\n", table="public.empties")

    assert rows("SELECT * FROM public.empties") == [(None, "", None, 1)]
    assert result["rejected"] == [{"line": 3, "reason": "d is empty, and the column needs a value"}]


def test_an_empty_key_is_rejected_in_an_upsert(load):
    result = load(f"{HEADER},one,1\n", mode="upsert")

    assert result["rejected"] == [
        {"line": 2, "reason": "code is empty, and the column needs a value"}
    ]


def test_a_line_not_in_its_encoding_is_rejected(load):
    result = load(HEADER.encode() + b"a,caf\xe9,1\nb,two,2\n")

    assert result["rows_out"] == 1
    assert result["rejected"][0]["line"] == 2


def test_of_many_bad_rows_all_are_counted_and_the_first_hundred_kept(load):
    lines = [f"{n},item,{'x' if n % 100 == 0 else n}\n" for n in range(20_000)]

    result = load(HEADER + "".join(lines))

    assert (result["rows_in"], result["rows_out"], result["rows_rejected"]) == (20_000, 19_800, 200)
    assert [row["line"] for row in result["rejected"]] == [2 + 100 * n for n in range(100)]


def test_more_bad_rows_than_allowed_fail_the_job_and_load_nothing(load):
    with pytest.raises(TooManyRejected, match=r"2 of 3 rows.*allows 1.*line 2: amount 'x'"):
        load(f"{HEADER}a,one,x\nb,two,y\nc,three,3\n", max_rejected=1)

    assert rows(ITEMS) == []


def test_no_limit_lets_any_number_pass(load):
    result = load(f"{HEADER}{'a,one,x' + chr(10)}" * 1_500, max_rejected=None)

    assert result["rows_rejected"] > 1_000


def test_values_of_types_unknown_here_are_checked_by_postgresql(load, allow):
    run("CREATE TYPE public.mood AS ENUM ('happy', 'sad')")
    run("CREATE DOMAIN public.small AS int NOT NULL CHECK (VALUE < 10)")
    run("CREATE TABLE public.moods (ip inet, mood mood, tags int[], small small, at interval)")
    allow(IMPORT_TABLES=["public.moods"])
    good = '10.0.0.1,happy,"{1,2}",3,1 day\n'

    result = load(
        f"ip,mood,tags,small,at\n{good}"
        "10.0.0.300,happy,{},3,1 day\n"
        "10.0.0.1,angry,{},3,1 day\n"
        "10.0.0.1,sad,{x},3,1 day\n"
        f"10.0.0.1,sad,{{}},30,1 day\n{good}",
        table="public.moods",
    )

    assert [row["line"] for row in result["rejected"]] == [3, 4, 5, 6]
    assert "ip '10.0.0.300': invalid input syntax" in result["rejected"][0]["reason"]
    assert "small_check" in result["rejected"][3]["reason"]
    assert rows("SELECT count(*), min(host(ip)) FROM public.moods") == [(2, "10.0.0.1")]


def test_values_that_postgresql_refuses_count_towards_the_limit(load, allow):
    run("CREATE TABLE public.hosts (ip inet)")
    allow(IMPORT_TABLES=["public.hosts"])

    with pytest.raises(TooManyRejected):
        load("ip\nx\ny\n10.0.0.1\n", table="public.hosts", max_rejected=1)


def test_rejected_rows_are_kept_with_their_fields(folder, items):
    (folder / "items.csv").write_text(f'{HEADER}a,one,many\nb,two\n\0c,"x\nd,four,4\n')
    params = {"source": "items.csv", "table": items}
    job = make_job(status=Status.STARTED, job_class="ImportCsv", params=params)

    contexts.run(job)

    kept = JobRejectedRow.objects.filter(job=job).order_by("number")
    assert [(row.position, row.row, row.reason) for row in kept][:2] == [
        (2, {"code": "a", "label": "one", "amount": "many"}, "amount 'many' is not a whole number"),
        (3, ["b", "two"], "has 2 fields, not 3"),
    ]
    checkpoint = JobCheckpoint.objects.get(job=job)
    assert checkpoint.rows_rejected == len(kept)
    assert (checkpoint.rows_out, checkpoint.position) == (checkpoint.rows_in - len(kept), None)


# --- Modes ---


def test_an_append_whose_end_was_not_recorded_is_not_loaded_twice(folder, allow):
    run("CREATE TABLE public.plain (code text)")
    allow(IMPORT_TABLES=["public.plain"])
    (folder / "items.csv").write_text("code\na\nb\n")
    params = {"source": "items.csv", "table": "public.plain"}
    job = make_job(status=Status.STARTED, job_class="ImportCsv", params=params)
    first = contexts.run(job)
    # As after a kill between the load's commit and the record of the job's end.
    JobStatus.objects.filter(id=job.id).update(claim=job.claim + 1)

    second = contexts.run(JobStatus.objects.get(id=job.id))

    assert second == first
    assert rows("SELECT count(*) FROM public.plain") == [(2,)]


def test_append_that_violates_a_constraint_loads_nothing(load):
    run("INSERT INTO public.items VALUES ('b', 'old', 0)")

    with pytest.raises(IntegrityError, match=r"\(code\)=\(b\)"):
        load(f"{HEADER}a,one,1\nb,two,2\n")

    assert [row[:2] for row in rows(ITEMS)] == [("b", "old")]


def test_replace_puts_the_file_in_the_place_of_all_rows(load):
    run("INSERT INTO public.items VALUES ('a', 'old', 0), ('z', 'old', 0)")

    result = load(f"{HEADER}a,one,1\n", mode="replace")

    assert result["rows_out"] == 1
    assert [row[:2] for row in rows(ITEMS)] == [("a", "one")]


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}a,one,x\n"])
def test_replace_by_no_row_is_refused_and_keeps_the_rows(load, content):
    run("INSERT INTO public.items VALUES ('z', 'old', 0)")

    with pytest.raises(FileRefused, match="no row to load"):
        load(content, mode="replace")

    assert [row[:2] for row in rows(ITEMS)] == [("z", "old")]


def test_replace_is_refused_where_other_rows_would_follow(load):
    run("CREATE TABLE public.parts (item text REFERENCES public.items ON DELETE CASCADE)")

    with pytest.raises(MappingRefused, match="parts"):
        load(f"{HEADER}a,one,1\n", mode="replace")


def test_upsert_inserts_what_is_new_and_updates_the_rest(load):
    run("INSERT INTO public.items VALUES ('a', 'old', 0, 9.99), ('z', 'old', 0, NULL)")

    result = load(f"{HEADER}a,one,1\nb,two,2\n", mode="upsert", key=["code"])

    assert (result["rows_out"], result["rows_unchanged"]) == (2, 0)
    # A column that the file doesn't fill keeps its value.
    assert [row[:4] for row in rows(ITEMS)] == [
        ("a", "one", 1, Decimal("9.99")),
        ("b", "two", 2, None),
        ("z", "old", 0, None),
    ]


def test_upsert_without_a_key_matches_by_the_primary_key(load):
    load(f"{HEADER}a,one,1\n", mode="upsert")

    assert load(f"{HEADER}a,two,1\n", mode="upsert")["rows_out"] == 1
    assert [row[:2] for row in rows(ITEMS)] == [("a", "two")]


def test_of_twins_in_the_file_the_last_one_counts(load):
    result = load(f"{HEADER}a,first,1\nb,two,2\na,last,3\n", mode="upsert")

    assert (result["rows_in"], result["rows_out"], result["rows_duplicate"]) == (3, 2, 1)
    assert [row[:3] for row in rows(ITEMS)] == [("a", "last", 3), ("b", "two", 2)]


def test_an_upsert_does_not_touch_rows_that_are_the_same(load):
    content = f"{HEADER}a,one,1\nb,two,\n"
    load(content, mode="upsert")
    before = rows("SELECT ctid::text FROM public.items ORDER BY code")

    result = load(content, mode="upsert")

    assert (result["rows_out"], result["rows_unchanged"]) == (2, 2)
    assert rows("SELECT ctid::text FROM public.items ORDER BY code") == before


def test_an_upsert_of_a_key_alone_inserts_what_is_missing(load, allow):
    run("CREATE TABLE public.codes (a int, b inet, extra json, UNIQUE (b, a) INCLUDE (extra))")
    allow(IMPORT_TABLES=["public.codes"])

    load("a,b\n1,::1\n1,::1\n2,::1\n", table="public.codes", mode="upsert", key=["a", "b"])

    assert rows("SELECT a, host(b) FROM public.codes ORDER BY a") == [(1, "::1"), (2, "::1")]


def test_an_upsert_compares_types_without_an_equality(load, allow):
    run("CREATE TABLE public.docs (id int PRIMARY KEY, doc json, spot point)")
    allow(IMPORT_TABLES=["public.docs"])
    content = 'id,doc,spot\n1,"{""a"": 1}","(1,2)"\n'
    load(content, table="public.docs", mode="upsert")

    assert load(content, table="public.docs", mode="upsert")["rows_unchanged"] == 1
    assert (
        load(content.replace("1,2", "1,3"), table="public.docs", mode="upsert")["rows_unchanged"]
        == 0
    )


def test_a_partitioned_table_takes_rows(load, allow):
    run("CREATE TABLE public.parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    run("CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (10)")
    allow(IMPORT_TABLES=["public.parted"])

    assert load("id,v\n1,a\n2,b\n", table="public.parted", mode="upsert")["rows_out"] == 2
    with pytest.raises(IntegrityError, match="no partition"):
        load("id,v\n11,a\n", table="public.parted")


# --- What it leaves behind ---


@pytest.mark.parametrize("content", [f"{HEADER}a,one,1\n", f"{HEADER}a,one,x\n"])
def test_no_staging_table_stays(load, content):
    with suppress(TooManyRejected):
        load(content, max_rejected=0)

    assert rows("SELECT count(*) FROM pg_class WHERE relname = 'import_staging'") == [(0,)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("behind_pooler", [True, False])
def test_only_behind_a_pooler_the_whole_import_is_one_transaction(
    folder, items, allow, behind_pooler
):
    allow(BEHIND_POOLER=behind_pooler)
    (folder / "items.csv").write_text(f"{HEADER}a,one,1\nb,two,x\n")
    params = {"source": "items.csv", "table": items}
    inside = []
    job = make_job(status=Status.STARTED, job_class="ImportCsv", params=params)
    hear = Listening(job, lambda: inside.append(connection.in_atomic_block))
    try:
        result = contexts.run(job, hear)
    finally:
        run("DROP TABLE public.items")

    assert result["rows_out"] == 1
    *reading, loading = inside
    assert set(reading) == {behind_pooler}
    assert loading


@pytest.mark.django_db(transaction=True)
def test_readers_see_the_old_rows_until_a_replace_commits(load):
    run("INSERT INTO public.items VALUES ('z', 'old', 0)")
    try:
        with closing(connection.copy("reader")) as reader, reader.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM public.items")
            load(f"{HEADER}a,one,1\n", mode="replace")
            cursor.execute("SELECT code FROM public.items")
            assert cursor.fetchall() == [("z",)]
            cursor.execute("COMMIT")
            cursor.execute("SELECT code FROM public.items")
            assert cursor.fetchall() == [("a",)]
    finally:
        run("DROP TABLE public.items")


def test_progress_is_told_in_rows(folder, items):
    content = HEADER + "".join(f"{n},{'x' * 10},{n}\n" for n in range(100_000))
    (folder / "items.csv").write_text(content)
    params = {"source": "items.csv", "table": items}
    job = make_job(status=Status.STARTED, job_class="ImportCsv", params=params)
    context = Listening(job)

    contexts.run(job, context)

    told = context.said
    assert told[0][0] > 0
    assert len(told) >= 3
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert told[-1] == (100_000, 100_000, "loading into public.items")
