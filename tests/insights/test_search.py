from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.insights import search
from jobs.insights.search import Filter, Place
from jobs.statuses import Status
from tests.make import make_attempt, make_job

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ids_of(where, **options):
    return [job.id for job in search.page(where, size=100, **options).jobs]


def test_an_empty_filter_finds_every_job():
    made = {make_job(status=status).id for status in Status}

    assert set(ids_of(Filter())) == made


def test_conditions_of_a_filter_all_hold():
    wanted = make_job(queue="low", tags=["a", "b"], status=Status.FAILED)
    make_job(queue="low", tags=["a"], status=Status.COMPLETED)
    make_job(queue="high", tags=["a"], status=Status.FAILED)
    make_job(queue="low", tags=["b"], status=Status.FAILED)

    where = Filter(queue="low", tag="a", statuses=(Status.FAILED, Status.CANCELLED))

    assert ids_of(where) == [wanted.id]


@pytest.mark.parametrize(
    ("where", "fields"),
    [
        (Filter(job="Sleep"), {"job_class": "Sleep"}),
        (Filter(schedule="nightly"), {"schedule": "nightly"}),
        (Filter(words=("sLEEP",)), {"job_class": "Sleep"}),
        (Filter(words=("refused", "100%_")), {"error": "Refused at 100%_"}),
    ],
)
def test_what_no_index_finds_is_found_as_well(where, fields):
    make_job(error="Refused at 100 percent")
    wanted = make_job(**fields)

    assert ids_of(where) == [wanted.id]


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

    with CaptureQueriesContext(connection) as asked:
        search.page(Filter(), size=2)

    sql = "".join(query["sql"] for query in asked)
    assert '"params"' not in sql
    assert '"result"' not in sql


def test_a_look_goes_so_far_and_says_where_it_stopped(monkeypatch):
    monkeypatch.setattr(search, "LOOKED_THROUGH", 4)
    rare = make_job(job_class="Sleep", created_at=NOON - timedelta(days=9))
    jobs = [make_job(created_at=NOON - timedelta(days=n)) for n in range(5)]

    first = search.page(Filter(job="Sleep"), size=2)
    second = search.page(Filter(job="Sleep"), after=first.next, size=2)

    assert (first.jobs, first.next) == (
        [],
        Place(created_at=jobs[3].created_at, job_id=jobs[3].id),
    )
    assert ([job.id for job in second.jobs], second.next) == ([rare.id], None)


@pytest.mark.parametrize(
    "where",
    [
        Filter(),
        Filter(statuses=(Status.FAILED,)),
        Filter(statuses=(Status.FAILED, Status.QUEUED), created_after=NOON + timedelta(seconds=1)),
        Filter(created_before=NOON + timedelta(seconds=4)),
        Filter(job="Sleep"),
        Filter(job="Sleep", statuses=(Status.COMPLETED, Status.QUEUED)),
        Filter(queue="low", created_after=NOON + timedelta(seconds=1)),
    ],
)
def test_whoever_follows_next_meets_each_job_once_and_in_order(monkeypatch, where):
    monkeypatch.setattr(search, "LOOKED_THROUGH", 4)
    rand = Random(7)
    jobs = [
        make_job(
            status=rand.choice([Status.QUEUED, Status.COMPLETED, Status.FAILED]),
            job_class=rand.choice(["Echo", "Sleep"]),
            queue=rand.choice(["default", "low"]),
            # Many share a moment, as those of one transaction do.
            created_at=NOON + timedelta(seconds=rand.randrange(6)),
        )
        for _ in range(40)
    ]
    wanted = sorted(
        (job for job in jobs if _fits(job, where)),
        key=lambda job: (job.created_at, job.id),
        reverse=True,
    )

    page = search.page(where, size=3)
    met = list(page.jobs)
    while page.next is not None:
        page = search.page(where, after=page.next, size=3)
        met += page.jobs

    assert [job.id for job in met] == [job.id for job in wanted]
    assert met


def _fits(job, where):
    return (
        (not where.statuses or job.status in where.statuses)
        and where.job in {"", job.job_class}
        and where.queue in {"", job.queue}
        and (where.created_after is None or job.created_at >= where.created_after)
        and (where.created_before is None or job.created_at < where.created_before)
    )


def test_the_newest_attempts_come_oldest_first():
    job = make_job(status=Status.FAILED)
    for claim in (3, 1, 2):
        make_attempt(job, claim=claim)

    assert [attempt.claim for attempt in search.attempts(job, newest=2)] == [2, 3]
