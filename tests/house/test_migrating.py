"""Migrating a table that is in use: nobody waits for long, and a migrate that gave up goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

pytestmark = pytest.mark.django_db(transaction=True)

NAME = f"migrating_{os.getpid()}"
JOB = "01900000-0000-7000-8000-000000000001"
OLD_ROWS = f"""
    INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts, claim,
        losses, interruptions, created_at, updated_at, due_at, finished_at, cancel_requested_by,
        cancel_reason, error, tags, held_by, schedule)
    VALUES ('{JOB}', 'Echo', 'default', '{{}}', 'completed', 2, 5, 3, 0, 0, now(), now(), now(),
        now(), '', '', '', '{{}}', '', '');
    INSERT INTO job_attempts (job_id, number, claim, worker_name, started_at, ended_at, outcome,
        status, error_class, message, traceback)
    SELECT '{JOB}', claim, claim, '', now(), now(), 'failed', 'retrying', '', '', ''
    FROM generate_series(1, 2) AS claim;
"""


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """The connection leads to an empty database of its own."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {NAME}")
    connection.close()
    connection.settings_dict["NAME"] = NAME
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def read(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_a_migrate_that_gave_up_behind_a_long_transaction_goes_on_later(elsewhere: None) -> None:
    call_command("migrate", verbosity=0)
    call_command("migrate", "jobs", "0003", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(OLD_ROWS)

    with closing(connection.copy()) as long:
        long.set_autocommit(autocommit=False)
        with long.cursor() as cursor:
            cursor.execute("SELECT FROM job_attempts")
        with pytest.raises(OperationalError, match="lock timeout"):
            call_command("migrate", verbosity=0)
    connection.close()  # as that process has ended
    call_command("migrate", verbosity=0)

    attempts = read("SELECT job_id::text, claim FROM job_attempts ORDER BY claim")
    assert attempts == [(JOB, 1), (JOB, 2)]
    assert read("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
