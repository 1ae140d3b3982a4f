"""People's verbs: cancel, retry, run again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from jobs.broker import keys
from jobs.lifecycle import control
from jobs.models import JobAttempt
from jobs.statuses import TERMINAL, Status
from tests import others
from tests.make import make_attempt, make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_ended_job_gets_one_more_attempt_and_keeps_its_history(
    redis: Redis, status: Status
) -> None:
    job = make_job(status=status, attempt=5, max_attempts=5, losses=2)
    make_attempt(job)

    moved = control.retry([job.id], by="alice")

    job.refresh_from_db()
    assert moved.moved == [job.id]
    assert (job.status, job.max_attempts, job.losses) == ("queued", 6, 0)
    assert (job.finished_at, job.error, job.result) == (None, "", None)
    assert JobAttempt.objects.filter(job=job).count() == 1
    assert redis.lrange(keys.queue("default"), 0, -1) == [str(job.id).encode()]


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_a_living_job_is_not_retried(redis: Redis, status: Status) -> None:
    job = make_job(status=status)

    moved = control.retry([job.id], by="alice")

    job.refresh_from_db()
    assert (moved.moved, moved.refused) == ([], [job.id])
    assert job.status == status
    assert redis.llen(keys.queue("default")) == 0


@pytest.mark.parametrize("status", ["scheduled", "waiting", "queued", "retrying"])
def test_a_job_that_has_not_begun_is_cancelled_at_once(redis: Redis, status: str) -> None:
    job = make_job(status=Status(status))

    moved = control.cancel([job.id], by="alice", reason="wrong file")

    job.refresh_from_db()
    assert moved.moved == [job.id]
    assert (job.status, job.error) == ("cancelled", "cancelled by alice: wrong file")
    assert job.finished_at is not None


def test_a_reason_is_kept_in_one_line_that_postgresql_can_hold(redis: Redis) -> None:
    job = make_job()

    control.cancel([job.id], by="alice", reason=" wrong\nINFO file\udcff\x00 ")

    job.refresh_from_db()
    assert job.cancel_reason == "wrong INFO file?\N{REPLACEMENT CHARACTER}"
    assert job.error == f"cancelled by alice: {job.cancel_reason}"


def test_what_is_large_stays_in_the_table(redis: Redis) -> None:
    ended = make_job(status=Status.FAILED)
    waiting, started = make_job(), make_job(status=Status.STARTED, worker=make_worker())

    with CaptureQueriesContext(connection) as to_retry:
        control.retry([ended.id], by="alice")
    with CaptureQueriesContext(connection) as to_cancel:
        control.cancel([waiting.id, started.id], by="alice")

    assert read("result", to_retry) == []
    assert len(read("params", to_retry)) == 1, "once, for the push"
    assert read("result", to_cancel) == read("params", to_cancel) == []
    assert len(read("name", to_cancel)) == 1, "the worker's, once, for the stop"


def read(column: str, queries: CaptureQueriesContext) -> list[str]:
    """Return the statements that select `column`."""
    texts = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in texts if sql.startswith("SELECT") and f'"{column}"' in sql]


def test_a_started_job_is_asked(redis: Redis) -> None:
    job = make_job(status=Status.STARTED)

    first, second = (control.cancel([job.id], by=name) for name in ("alice", "bob"))

    job.refresh_from_db()
    assert (first.asked, second.asked, second.refused) == ([job.id], [], [job.id])
    assert (job.status, job.cancel_requested_by) == ("started", "alice")


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_ended_job_is_not_cancelled(redis: Redis, status: Status) -> None:
    job = make_job(status=status)

    assert control.cancel([job.id], by="alice").refused == [job.id]


def test_a_cancel_that_had_to_wait_ends_the_job_after_what_it_waited_for(redis: Redis) -> None:
    job = make_job(status=Status.STARTED)
    with others.elsewhere() as cursor:
        others.lock(cursor, job)
        done = others.at_once(lambda: control.cancel([job.id], by="alice"))
        others.until_blocked()

        cursor.execute(
            "UPDATE job_statuses SET status = 'retrying' WHERE id = %s RETURNING clock_timestamp()",
            [job.id],
        )
        [attempt_ended_at] = cursor.fetchone()
        cursor.execute("COMMIT")

        assert done.result(30).moved == [job.id]
    job.refresh_from_db()
    assert job.finished_at > attempt_ended_at
