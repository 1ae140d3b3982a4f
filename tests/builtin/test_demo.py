from __future__ import annotations

import pytest

from jobs.builtin import demo
from jobs.builtin.import_csv import ImportCsv
from tests.builtin.conftest import rows, run

pytestmark = pytest.mark.django_db


def test_the_demo_is_made_and_its_airports_imported(folder, allow):
    made = demo.prepare()

    assert made.file == folder / "airports.csv"
    assert rows("SELECT count(*) FROM public.daily_stats") == [(21,)]
    allow(IMPORT_TABLES=["public.airports"])
    job = ImportCsv(source="airports.csv", table="public.airports", mode="upsert", key=["icao"])
    result = job._perform()
    assert result["rows_in"] > 28_000
    assert result["rows_out"] == result["rows_in"]


def test_the_demo_may_be_made_again(folder):
    demo.prepare()
    run("UPDATE public.daily_stats SET value = 0")

    demo.prepare()

    assert rows("SELECT count(*), max(value) FROM public.daily_stats") == [(21, 0)]
    assert [path.name for path in folder.iterdir()] == ["airports.csv"]


def test_without_a_folder_there_are_tables_and_no_file(allow):
    allow(IMPORT_FOLDERS=[])

    made = demo.prepare()

    assert made.file is None
    assert "IMPORT_FOLDERS" in made.message
    assert rows("SELECT count(*) FROM public.airports") == [(0,)]
