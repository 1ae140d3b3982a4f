"""One commit that settles a batch and starts the next one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle.outcomes import Completed, Failed, GivenBack, Outcome, Settlement, Unbegun
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import Beginning, start
from jobs.lifecycle.turn import turn
from jobs.models import JobAttempt, JobStatus, JobWorker
from tests.make import make_attempt, make_job, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


def running(worker: JobWorker, count: int = 1, **fields: Any) -> list[JobStatus]:
    ids = [make_job(**fields).id for _ in range(count)]
    return start(ids, worker_id=worker.id).jobs


def settlement(job: JobStatus, outcome: Outcome, **fields: Any) -> Settlement:
    return Settlement(job_id=job.id, claim=job.claim, outcome=outcome, **fields)


def completed(jobs: list[JobStatus]) -> list[Settlement]:
    return [settlement(job, Completed(result={"n": n})) for n, job in enumerate(jobs)]


def fresh(job_id: UUID) -> JobStatus:
    return JobStatus.objects.get(id=job_id)


def test_a_batch_ends_and_the_next_begins_in_one_statement(worker: JobWorker) -> None:
    ending = running(worker, 3)
    ids = [make_job().id for _ in range(3)]
    line = [ids[2], uuid4(), ids[1]]

    with CaptureQueriesContext(connection) as queries:
        settled, told = turn(completed(ending), line, worker_id=worker.id)

    assert len(queries) == 1
    assert [(end.job_id, end.claim, end.status) for end in settled] == [
        (job.id, 1, "completed") for job in ending
    ]
    assert [job.id for job in told.jobs] == [ids[2]]
    assert told.later == line[1:]
    assert [fresh(job.id).result for job in ending] == [{"n": n} for n in range(3)]
    assert JobAttempt.objects.count() == 3
    assert (fresh(ids[2]).status, fresh(ids[2]).worker_id) == ("started", worker.id)


def test_with_nothing_to_settle_it_is_a_start_and_with_nothing_to_start_a_settlement(
    worker: JobWorker,
) -> None:
    job = make_job()

    nothing, told = turn([], [job.id], worker_id=worker.id)
    settled, neither = turn(completed(told.jobs), [], worker_id=worker.id)

    assert nothing == []
    assert [end.job_id for end in settled] == [job.id]
    assert neither == Beginning()
    assert turn([], [], worker_id=worker.id) == ([], Beginning())


def test_an_id_that_is_still_being_settled_is_a_duplicate(worker: JobWorker) -> None:
    [job] = running(worker)

    settled, told = turn([settlement(job, GivenBack())], [job.id], worker_id=worker.id)

    assert [end.status for end in settled] == ["queued"]
    assert told == Beginning(dropped=[job.id])
    assert (fresh(job.id).status, fresh(job.id).claim) == ("queued", 2)


def test_a_refused_worker_still_settles(worker: JobWorker) -> None:
    [job], waiting = running(worker), make_job()
    JobWorker.objects.update(dead_at="2026-01-01T00:00Z")

    settled, told = turn(completed([job]), [waiting.id], worker_id=worker.id)

    assert [end.status for end in settled] == ["completed"]
    assert told == Beginning(later=[waiting.id], is_refused=True)


def test_a_culprit_fails_alone_and_nothing_starts(worker: JobWorker) -> None:
    good, bad = running(worker, 2)
    ids = [make_job().id for _ in range(2)]
    poison = [*completed([good]), settlement(bad, Completed(result="a\x00b"))]

    settled, told = turn(poison, ids, worker_id=worker.id)

    assert {end.job_id: end.status for end in settled} == {good.id: "completed", bad.id: "failed"}
    assert told == Beginning(later=ids)
    assert {fresh(job_id).status for job_id in ids} == {"queued"}


# --- Moments ---


def test_an_attempt_lasts_as_long_as_its_job_not_as_its_batch(worker: JobWorker) -> None:
    [job] = running(worker)
    now = time.monotonic()
    failure = Failed(error_class="E", message="", traceback="", wait=timedelta(seconds=90))

    [end] = settle([settlement(job, failure, began_at=now - 7, ended_at=now - 5)])

    attempt, row = JobAttempt.objects.get(), fresh(job.id)
    assert attempt.ended_at - attempt.started_at == timedelta(seconds=2)
    assert row.updated_at - attempt.ended_at >= timedelta(seconds=5)
    assert (end.started_at, end.ended_at) == (attempt.started_at, attempt.ended_at)
    assert row.started_at == attempt.started_at
    assert row.due_at - attempt.ended_at == timedelta(seconds=90)
    assert row.finished_at is None


def test_a_job_finished_when_it_ended_however_late_that_is_recorded(worker: JobWorker) -> None:
    [job] = running(worker)
    now = time.monotonic()

    settle([settlement(job, Completed(result=None), began_at=now - 600, ended_at=now - 300)])

    row, attempt = fresh(job.id), JobAttempt.objects.get()
    assert row.finished_at == attempt.ended_at
    assert timedelta(seconds=300) <= row.updated_at - attempt.ended_at < timedelta(seconds=330)


def test_without_moments_an_attempt_lasts_from_its_start_to_its_record(worker: JobWorker) -> None:
    [job] = running(worker)

    [end] = settle([settlement(job, Completed(result=None))])

    row = fresh(job.id)
    assert (end.started_at, end.ended_at) == (job.started_at, row.updated_at)
    assert row.finished_at == row.updated_at


# --- One that never began ---


def test_one_that_never_began_is_as_if_it_had_never_been_started(worker: JobWorker) -> None:
    before = make_job(interruptions=1, losses=2)
    [job] = start([before.id], worker_id=worker.id).jobs

    [end] = settle([settlement(job, Unbegun())])

    after = fresh(job.id)
    assert (end.status, end.attempt, end.started_at) == ("queued", 1, None)
    assert (after.status, after.attempt, after.claim) == ("queued", 0, 2)
    assert (after.interruptions, after.losses) == (1, 2)
    assert (after.started_at, after.finished_at, after.due_at) == (None, None, before.due_at)
    assert not JobAttempt.objects.exists()


def test_one_that_never_began_again_keeps_the_moment_of_its_last_attempt(
    worker: JobWorker,
) -> None:
    job = make_job(attempt=2, claim=5)
    earlier, last = (make_attempt(job, claim=claim, number=claim - 1) for claim in (2, 3))
    [job] = start([job.id], worker_id=worker.id).jobs

    settle([settlement(job, Unbegun())])

    after = fresh(job.id)
    assert earlier.started_at < last.started_at == after.started_at
    assert (after.attempt, after.claim) == (2, 7)
    assert JobAttempt.objects.count() == 2


def test_one_that_never_began_obeys_a_cancel(worker: JobWorker) -> None:
    [job] = running(worker, cancel_requested_at="2026-01-01T00:00Z", cancel_requested_by="alice")

    [end] = settle([settlement(job, Unbegun())])

    after = fresh(job.id)
    assert (end.status, after.status, after.error) == ("cancelled",) * 2 + ("cancelled by alice",)
    assert (after.attempt, after.claim) == (0, 1)
    assert after.finished_at is not None
    assert not JobAttempt.objects.exists()
