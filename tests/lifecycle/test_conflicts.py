"""Deadlocks and serialization failures: PostgreSQL picks a victim, the statement is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from redis import Redis

from jobs.lifecycle import control
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.lifecycle.settle import settle
from jobs.maintenance import queued, rescue
from jobs.models import JobStatus, JobWorker
from jobs.statuses import Status
from tests import others
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

Verb = Callable[[list[UUID]], Any]


def settle_them(ids: list[UUID]) -> Any:
    return settle(
        [Settlement(job_id=job_id, claim=1, outcome=Completed(result=None)) for job_id in ids]
    )


def rescue_them(ids: list[UUID]) -> Any:
    JobWorker.objects.update(dead_at="2026-01-01T00:00Z")
    # Two at once, so that it locks more than one row.
    jobs = list(JobStatus.objects.filter(id__in=ids))
    return rescue.settle_lost(jobs, rescue.WorkerLost("lost"))


def retry_them(ids: list[UUID]) -> Any:
    return control.retry(ids, by="alice").moved


def cancel_them(ids: list[UUID]) -> Any:
    return control.cancel(ids, by="alice").moved


def move_them(ids: list[UUID]) -> Any:
    return JobStatus.objects.filter(id__in=ids).move(Status.QUEUED)


VERBS = [
    (settle_them, Status.STARTED),
    (rescue_them, Status.STARTED),
    (retry_them, Status.FAILED),
    (cancel_them, Status.QUEUED),
    (move_them, Status.RETRYING),
]


def hasty(work: Callable[[], Any]) -> Callable[[], Any]:
    """Let `work` notice a deadlock at once, and so be its victim."""

    def run() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '20ms'")
        return work()

    return run


def deadlocked(work: Callable[[], Any], jobs: list[JobStatus]) -> Any:
    """Make `work`, which locks three jobs in order, the victim of a deadlock; return its result.

    Only the last who joins a circle of waiters notices it: the gate holds the victim up until the
    rival waits for the victim's row.
    """
    first, middle, last = jobs
    with others.elsewhere() as gate, others.elsewhere() as rival:
        others.lock(gate, middle)
        others.lock(rival, last)
        done: Future[Any] = others.at_once(hasty(work))
        others.until_blocked(1)  # it holds the first
        rivals = others.at_once(lambda: others.lock(rival, first))
        others.until_blocked(2)
        gate.execute("COMMIT")  # it takes the middle one, and waits for the last: a circle
        rivals.result(30)
        rival.execute("COMMIT")
        return done.result(30)


@pytest.mark.parametrize(("verb", "status"), VERBS, ids=[verb.__name__ for verb, _ in VERBS])
def test_the_victim_of_a_deadlock_tries_again(redis: Redis, verb: Verb, status: Status) -> None:
    worker = make_worker()
    jobs = [make_job(status=status, worker=worker) for _ in range(3)]

    done = deadlocked(lambda: verb([job.id for job in jobs]), jobs)

    assert len(done) == 3


@pytest.mark.parametrize(("verb", "status"), VERBS, ids=[verb.__name__ for verb, _ in VERBS])
def test_a_serialization_failure_is_repeated(redis: Redis, verb: Verb, status: Status) -> None:
    job = make_job(status=status, worker=make_worker())

    def strictly() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        return verb([job.id])

    with others.elsewhere() as cursor:
        cursor.execute("UPDATE job_statuses SET tags = '{seen}' WHERE id = %s", [job.id])
        done: Future[Any] = others.at_once(strictly)
        others.until_blocked()
        cursor.execute("COMMIT")

        assert len(done.result(30)) == 1


@pytest.fixture(params=["40001", "40P01"])
def failing_once(transactional_db: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """The first update of a job fails in PostgreSQL; a sequence remembers it past the rollback."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE updates_of_jobs")
        cursor.execute(f"""
            CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('updates_of_jobs') = 1 THEN
                    RAISE EXCEPTION 'once' USING ERRCODE = '{request.param}';
                END IF;
                RETURN new;
            END $$""")
        cursor.execute("""
            CREATE TRIGGER fail_once BEFORE UPDATE ON job_statuses
            FOR EACH ROW EXECUTE FUNCTION fail_once()""")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fail_once() CASCADE")
        cursor.execute("DROP SEQUENCE updates_of_jobs")


def test_a_promotion_that_failed_so_is_repeated(redis: Redis, failing_once: None) -> None:
    # Its rows are locked with SKIP LOCKED: no other transaction can be made to stand in its way.
    job = make_job(status=Status.RETRYING, due_at="2026-01-01T00:00Z")

    assert [one.id for one in queued.promote(Status.RETRYING, limit=10)] == [job.id]


def test_within_a_callers_transaction_nothing_is_repeated(redis: Redis) -> None:
    jobs = [make_job() for _ in range(3)]

    def in_a_transaction() -> Any:
        with transaction.atomic():
            return control.cancel([job.id for job in jobs], by="alice")

    with pytest.raises(OperationalError, match="deadlock detected"):
        deadlocked(in_a_transaction, jobs)
