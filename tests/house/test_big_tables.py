"""Nothing that is asked while the house is at work reads a table from end to end."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks import backlog_questions, backlog_rows

pytestmark = [pytest.mark.redis, pytest.mark.django_db]

MAY_READ_ALL = {
    "jobs check",  # by hand, before a deploy: which classes and queues do living jobs have?
    "admin: jobs, page 200",  # a sixth of this table; of a larger one it reads as much, by index
}


def whole_readings() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)",
            [list(backlog_rows.TABLES)],
        )
        return int(cursor.fetchone()[0])


def test_only_what_is_known_to_reads_a_table_from_end_to_end() -> None:
    backlog_rows.fill(finished=40_000, queued=20_000)
    backlog_questions.prepare()
    guilty = set()

    for name, question in backlog_questions.QUESTIONS.items():
        before = whole_readings()
        question()
        if whole_readings() > before:
            guilty.add(name)

    assert guilty - MAY_READ_ALL == set()
