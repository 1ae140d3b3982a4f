"""Losses count from the attempt that last moved the checkpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.errors import StaleAttempt, WorkerLost
from jobs.lifecycle import checkpoint, control, verdict
from jobs.lifecycle.outcomes import Failed, Outcome, Settlement
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.models import JobCheckpoint, JobStatus
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db

GONE = WorkerLost("gone")


def begin(job: JobStatus) -> JobStatus:
    """The job's next attempt, whatever became of the one before."""
    JobStatus.objects.filter(id=job.id).update(status="queued")
    return start([job.id], worker_id=make_worker().id).jobs[0]


def end(job: JobStatus, outcome: Outcome) -> JobStatus:
    assert settle([Settlement(job_id=job.id, claim=job.claim, outcome=outcome)])
    return JobStatus.objects.get(id=job.id)


def lose(job: JobStatus) -> JobStatus:
    return end(job, verdict.of_loss(job, GONE))


def make() -> JobStatus:
    return make_job(max_attempts=100)


def test_a_loss_after_progress_is_the_first_again() -> None:
    job = make()

    for number in range(1, 6):
        job = begin(job)
        checkpoint.record(job, number)
        job = lose(job)

        assert (job.status, job.losses) == ("retrying", 1)


@pytest.mark.parametrize(
    "deed",
    [
        lambda _job: None,
        checkpoint.take_over,
        lambda job: checkpoint.record(job, None),
        lambda job: checkpoint.record(job, {"at": [7, 0]}),
        lambda job: checkpoint.record(job, {"at": [7, 0]}, result={"rows_in": 7}),
    ],
    ids=["no deed", "taken over", "no position", "the same position", "and a result"],
)
def test_what_moves_no_checkpoint_is_no_progress(deed: Callable[[JobStatus], object]) -> None:
    job = begin(make())
    checkpoint.record(job, {"at": [7, 0]})
    job = lose(job)

    for losses in (2, 3):
        job = begin(job)
        deed(job)
        job = lose(job)
        assert job.losses == losses

    assert job.status == "failed"
    assert "it has lost 3 workers" in job.error


def test_progress_between_two_losses_counts_however_its_attempt_ended() -> None:
    job = lose(begin(lose(begin(make()))))
    job = begin(job)
    checkpoint.record(job, 1)
    job = end(job, verdict.of_error(job, ConnectionError("the source is gone")))
    assert job.losses == 2

    job = lose(begin(job))

    assert (job.status, job.losses) == ("retrying", 1)


def test_progress_is_not_forgotten_where_the_loss_after_it_was_anothers_fault() -> None:
    job = lose(begin(lose(begin(make()))))
    job = begin(job)
    checkpoint.record(job, 1)

    job = end(job, verdict.of_loss(job, GONE, counts=False))

    assert job.losses == 0
    job = lose(begin(job))
    assert (job.status, job.losses) == ("retrying", 1)


def test_progress_counts_once() -> None:
    job = begin(make())
    checkpoint.record(job, 1)
    job = lose(job)

    job = lose(begin(lose(begin(job))))

    assert (job.status, job.losses) == ("failed", 3)


def test_progress_from_before_a_retry_is_none() -> None:
    job = begin(make())
    checkpoint.record(job, 1)
    job = lose(begin(lose(begin(lose(job)))))
    control.retry([job.id], by="alice")

    for losses in (1, 2, 3):
        job = lose(begin(job))
        assert job.losses == losses

    assert job.status == "failed"


def test_a_late_attempts_progress_is_its_own() -> None:
    first = begin(make())
    checkpoint.record(first, 1)
    second = begin(lose(first))
    checkpoint.take_over(second)

    with pytest.raises(StaleAttempt):
        checkpoint.record(first, 2)

    assert JobCheckpoint.objects.get(job=first).moved_claim == first.claim
    assert lose(second).losses == 2


def test_a_job_that_has_lost_no_worker_is_asked_nothing() -> None:
    job = begin(make())

    with CaptureQueriesContext(connection) as queries:
        outcome = verdict.of_loss(job, GONE)

    assert isinstance(outcome, Failed)
    assert len(queries) == 0
