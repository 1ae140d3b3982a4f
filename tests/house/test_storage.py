"""The tables are stored and vacuumed as the migrations say, wherever they were made."""

from __future__ import annotations

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def options(table: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        (found,) = cursor.fetchone()
    return dict(option.split("=") for option in found or [])


def names(sql: str, *values: object) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return {name for (name,) in cursor.fetchall()}


def test_dead_rows_of_jobs_are_vacuumed_long_before_a_fifth_of_the_table_is_dead() -> None:
    jobs, attempts = options("job_statuses"), options("job_attempts")

    assert (jobs["autovacuum_vacuum_threshold"], jobs["autovacuum_vacuum_scale_factor"]) == (
        "50000",
        "0.05",
    )
    assert (
        attempts["autovacuum_vacuum_threshold"],
        attempts["autovacuum_vacuum_scale_factor"],
    ) == ("50000", "0.05")
    assert jobs["fillfactor"] == "70"
    assert "fillfactor" not in attempts  # its rows are never changed


def test_every_index_of_jobs_is_one_that_was_weighed() -> None:
    of = "SELECT indexname FROM pg_indexes WHERE tablename = %s"

    # One more costs each start and each end: docs/adr/0007-*.md has the measurements.
    assert names(of, "job_statuses") == {
        "job_statuses_pkey",
        "job_statuses_due",
        "job_statuses_by_status",
        "job_statuses_ended",
        # Of jobs with a schedule alone: the others' starts and ends write nothing into them.
        "job_statuses_of_runs",
        "job_statuses_living_runs",
    }
    assert names(of, "job_attempts") == {"job_attempts_pkey"}


def test_no_settle_checks_a_foreign_key_of_an_attempt() -> None:
    of = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"

    assert names(of, "job_attempts") == set()
