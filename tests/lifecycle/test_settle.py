"""Ends of attempts: fenced, kept, and never overwritten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle.outcomes import (
    Cancelled,
    Completed,
    Failed,
    GivenBack,
    Outcome,
    Settlement,
    Snoozed,
)
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import Beginning, start
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import Status
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db

FAILURE = Failed(
    error_class="ValueError",
    message="no\nsecond line",
    traceback="Traceback ...",
    wait=timedelta(seconds=90),
)


def started(**fields: object) -> JobStatus:
    job = make_job(**fields)
    return start([job.id], worker_id=make_worker().id).jobs[0]


def settled(job: JobStatus, outcome: Outcome, *, claim: int | None = None) -> JobStatus:
    settle([Settlement(job_id=job.id, claim=claim or job.claim, outcome=outcome, peak_memory=1024)])
    return JobStatus.objects.get(id=job.id)


def test_a_completed_attempt_is_recorded_in_one_statement() -> None:
    job = started()

    with CaptureQueriesContext(connection) as queries:
        job = settled(job, Completed(result={"rows": 3}))

    assert len(queries) == 2  # and our own SELECT
    assert (job.status, job.result, job.error) == ("completed", {"rows": 3}, "")
    assert job.finished_at is not None
    attempt = JobAttempt.objects.get()
    assert (attempt.number, attempt.claim, attempt.outcome) == (1, 1, "completed")
    assert (attempt.worker_name, attempt.peak_memory) == ("worker-1", 1024)
    assert attempt.result == {"rows": 3}


def test_a_job_that_cancels_itself_says_why_in_one_line() -> None:
    job = settled(started(), Cancelled(reason="no rows\nsecond line"))

    assert (job.status, job.error) == ("cancelled", "no rows")
    assert JobAttempt.objects.get().message == "no rows\nsecond line"


def test_a_failure_with_a_wait_is_retrying_until_then() -> None:
    job = settled(started(), FAILURE)

    attempt = JobAttempt.objects.get()
    assert (job.status, job.error) == ("retrying", "ValueError: no")
    assert job.due_at - attempt.ended_at == timedelta(seconds=90)
    assert (attempt.message, attempt.traceback) == ("no\nsecond line", "Traceback ...")


def test_a_snooze_returns_the_attempt() -> None:
    job = settled(started(), Snoozed(delay=timedelta(minutes=1)))

    assert (job.status, job.attempt, job.claim) == ("scheduled", 0, 1)


def test_a_given_back_job_keeps_its_place_and_gets_a_new_claim() -> None:
    begun = started()

    job = settled(begun, GivenBack())

    assert (job.status, job.attempt, job.claim, job.interruptions) == ("queued", 0, 2, 1)
    assert job.due_at == begun.due_at


def test_a_late_finisher_cannot_overwrite_a_rescued_attempt() -> None:
    late = started()
    settled(late, GivenBack())
    current = start([late.id], worker_id=make_worker(name="other").id).jobs[0]

    after = settled(late, Completed(result="late"))

    assert (after.status, after.claim, after.result) == ("started", current.claim, None)
    assert not JobAttempt.objects.filter(outcome="completed").exists()


def test_an_attempt_is_settled_once() -> None:
    job = started()
    settled(job, Completed(result="first"))

    after = settled(job, FAILURE)

    assert (after.status, after.result) == ("completed", "first")
    assert JobAttempt.objects.count() == 1


@pytest.mark.parametrize(
    "outcome", [FAILURE, Snoozed(delay=timedelta(seconds=1)), GivenBack(), Cancelled(reason="x")]
)
def test_every_end_but_completed_obeys_a_cancel(outcome: Outcome) -> None:
    job = started(cancel_requested_at="2026-01-01T00:00Z", cancel_requested_by="alice")

    after = settled(job, outcome)

    assert (after.status, after.error) == ("cancelled", "cancelled by alice")


def test_a_job_that_completes_is_completed_whatever_was_asked() -> None:
    job = started(cancel_requested_at="2026-01-01T00:00Z", cancel_requested_by="alice")

    assert settled(job, Completed(result=1)).status == "completed"


def test_nothing_to_settle_asks_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert settle([]) == []

    assert not len(queries)


def test_a_batch_is_one_statement() -> None:
    begun = [started() for _ in range(20)]

    with CaptureQueriesContext(connection) as queries:
        ends = settle(
            [
                Settlement(job_id=job.id, claim=job.claim, outcome=Completed(result=None))
                for job in begun
            ]
        )

    assert len(queries) == 1
    assert len(ends) == 20


@pytest.mark.django_db(transaction=True)
def test_only_the_culprit_of_a_batch_fails() -> None:
    good, bad = started(), started()

    settle(
        [
            Settlement(job_id=good.id, claim=good.claim, outcome=Completed(result="fine")),
            Settlement(job_id=bad.id, claim=bad.claim, outcome=Completed(result="a\x00b")),
        ]
    )

    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.status, bad.status) == ("completed", "failed")
    assert bad.error.startswith("InvalidResult: PostgreSQL can't hold the outcome")


def test_error_texts_are_cleaned_and_capped() -> None:
    failure = Failed(
        error_class="ValueError", message="a\x00b", traceback="x" * 1_000_000, wait=None
    )

    settled(started(), failure)

    attempt = JobAttempt.objects.get()
    assert attempt.message == "a\N{REPLACEMENT CHARACTER}b"
    assert len(attempt.traceback) <= 64 * 1024
    assert "bytes left out" in attempt.traceback


def test_a_dead_worker_starts_nothing() -> None:
    job = make_job()
    worker = make_worker(dead_at="2026-01-01T00:00Z")

    beginning = start([job.id], worker_id=worker.id)

    assert beginning == Beginning(later=[job.id], is_refused=True)


@pytest.mark.parametrize("status", [status for status in Status if status != Status.QUEUED])
def test_only_a_queued_job_starts(status: Status) -> None:
    job = make_job(status=status)

    assert start([job.id], worker_id=make_worker().id) == Beginning(dropped=[job.id])


def test_a_job_pushed_twice_starts_once() -> None:
    job = make_job()
    worker = make_worker()

    assert len(start([job.id, job.id], worker_id=worker.id).jobs) == 1
    assert start([job.id], worker_id=worker.id) == Beginning(dropped=[job.id])
