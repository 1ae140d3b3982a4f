from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.insights import search
from jobs.insights.search import Filter, Place
from jobs.statuses import Status
from tests.make import make_attempt, make_job

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_empty_filter_finds_every_job():
    made = {make_job(status=status).id for status in Status}

    assert {job.id for job in search.jobs(Filter())} == made


def test_conditions_of_a_filter_all_hold():
    wanted = make_job(queue="low", tags=["a", "b"], status=Status.FAILED)
    make_job(queue="low", tags=["a"], status=Status.COMPLETED)
    make_job(queue="high", tags=["a"], status=Status.FAILED)
    make_job(queue="low", tags=["b"], status=Status.FAILED)

    where = Filter(queue="low", tag="a", statuses=(Status.FAILED, Status.CANCELLED))

    assert [job.id for job in search.jobs(where)] == [wanted.id]


def test_a_page_says_where_the_next_begins_and_the_last_says_none():
    first, second, third = (make_job(created_at=NOON - timedelta(days=n)) for n in range(3))

    page = search.page(Filter(), size=2)
    rest = search.page(Filter(), after=page.next, size=2)

    assert [job.id for job in page.jobs] == [first.id, second.id]
    assert page.next == Place(created_at=second.created_at, job_id=second.id)
    assert ([job.id for job in rest.jobs], rest.next) == ([third.id], None)


def test_a_full_last_page_has_no_next():
    make_job()
    make_job()

    assert search.page(Filter(), size=2).next is None


def test_a_page_reads_neither_params_nor_results():
    make_job()

    with CaptureQueriesContext(
        connection,
    ) as asked:
        search.page(Filter(), size=2)

    assert '"params"' not in asked[0]["sql"]
    assert '"result"' not in asked[0]["sql"]


def test_a_page_far_down_is_read_from_the_index():
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts,
                claim, losses, interruptions, created_at, updated_at, due_at, cancel_requested_by,
                cancel_reason, error, tags, held_by, schedule)
            SELECT gen_random_uuid(), 'Echo', 'low', '{}', 'completed', 1, 1, 1, 0, 0,
                now() - n * interval '1 s', now(), now(), '', '', '', '{}', '', ''
            FROM generate_series(1, 20000) AS n
            """
        )
        cursor.execute("ANALYZE job_statuses")
    middle = search.jobs(Filter()).order_by("-created_at", "-id").defer("result")[10_000]
    after = Place(created_at=middle.created_at, job_id=middle.id)

    with CaptureQueriesContext(connection) as asked:
        search.page(Filter(), after=after, size=50)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {asked[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "job_statuses_newest" in plan
    assert "Sort" not in plan
    assert "Index Cond" in plan


def test_the_newest_attempts_come_oldest_first():
    job = make_job(status=Status.FAILED)
    for claim in (3, 1, 2):
        make_attempt(job, claim=claim)

    assert [attempt.claim for attempt in search.attempts(job, newest=2)] == [2, 3]
