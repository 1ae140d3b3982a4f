"""A turn of one says and writes what a turn of many would: only its statement is another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle import single
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.lifecycle.start import Beginning, start
from jobs.lifecycle.turn import turn
from jobs.models import JobAttempt, JobStatus, JobWorker
from tests.async_jobs import AsyncSleep
from tests.jobs import Atomic
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db(transaction=True)

RESULTS = [None, "done", {"rows": [1, 2.5, None, True, "\N{SNOWMAN} 'quoted' \\ %s"]}, [], 0, False]
MOMENTS = {"created_at", "updated_at", "due_at", "started_at", "finished_at", "ended_at"}
ITS_OWN = MOMENTS | {"id", "job_id", "_state"}


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


@pytest.fixture(params=["one", "many"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By which statement; 'many' also where there is but one."""
    if request.param == "many":
        monkeypatch.setattr(single, "is_for", lambda *_: False)
    return str(request.param)


def settlement(job: JobStatus, result: Any, **moments: float) -> Settlement:
    outcome = Completed(result=result, text=json.dumps(result))
    return Settlement(job_id=job.id, claim=job.claim, outcome=outcome, peak_memory=7, **moments)


def columns(row: Any) -> dict[str, Any]:
    """Return what the row says, but for what is its own."""
    return {name: value for name, value in vars(row).items() if name not in ITS_OWN}


def turned(worker: JobWorker, result: Any, *, path: Callable[..., Any]) -> list[dict[str, Any]]:
    [job] = start([make_job(error="before", progress={"done": 1}).id], worker_id=worker.id).jobs
    waiting = make_job(error="before", progress={"done": 1}, finished_at="2026-01-01T00:00Z")
    now = time.monotonic()
    ended = settlement(job, result, began_at=now - 2.5, ended_at=now - 0.5)
    [end], told = path([ended], [waiting.id], worker_id=worker.id)
    assert (end.job_id, end.claim, end.attempt, end.status) == (job.id, 1, 1, "completed")
    assert (end.queue, end.job_class, end.error, end.wait) == (job.queue, job.job_class, "", None)
    after = JobStatus.objects.get(id=job.id)
    assert (end.started_at, end.ended_at) == (after.started_at, after.finished_at)
    [begun] = told.jobs
    assert (begun.id, begun.worker_id, begun.params) == (waiting.id, worker.id, waiting.params)
    assert after.finished_at is not None
    assert after.started_at is not None
    assert after.finished_at - after.started_at == timedelta(seconds=2)
    attempt = JobAttempt.objects.get(job=job)
    assert (attempt.started_at, attempt.ended_at) == (after.started_at, after.finished_at)
    assert after.updated_at - after.finished_at >= timedelta(seconds=0.5)
    return [columns(row) for row in (after, JobStatus.objects.get(id=waiting.id), attempt, begun)]


@pytest.mark.parametrize("result", RESULTS)
def test_one_is_written_as_many_are(
    worker: JobWorker, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one = turned(worker, result, path=turn)
    monkeypatch.setattr(single, "is_for", lambda *_: False)
    of_many = turned(worker, result, path=turn)

    assert of_one == of_many


def test_it_is_one_statement(worker: JobWorker) -> None:
    [job] = start([make_job().id], worker_id=worker.id).jobs
    waiting = make_job()

    with CaptureQueriesContext(connection) as queries:
        turn([settlement(job, 1)], [waiting.id], worker_id=worker.id)

    assert len(queries) == 1
    assert "jsonb_to_recordset" not in queries[0]["sql"]


def begin(ids: list[UUID], worker: JobWorker, room: int = 0) -> Beginning:
    return turn([], ids, worker_id=worker.id, room=room)[1]


def test_an_async_job_needs_room(worker: JobWorker, path: str) -> None:
    job = make_job(job_class=AsyncSleep.spec.name)

    assert begin([job.id], worker) == Beginning(later=[job.id])
    assert [one.id for one in begin([job.id], worker, room=1).jobs] == [job.id]


def test_a_job_that_goes_alone_goes(worker: JobWorker, path: str) -> None:
    job = make_job(job_class=Atomic.spec.name)

    assert [one.id for one in begin([job.id], worker).jobs] == [job.id]


def test_what_does_not_start_is_sorted(worker: JobWorker, path: str) -> None:
    started, nobody = make_job(status="started"), uuid4()

    assert begin([started.id], worker) == Beginning(dropped=[started.id])
    assert begin([nobody], worker) == Beginning(strangers=[nobody])


def test_a_dead_worker_starts_nothing(worker: JobWorker, path: str) -> None:
    job = make_job()
    JobWorker.objects.update(dead_at="2026-01-01T00:00Z")

    assert begin([job.id], worker) == Beginning(later=[job.id], is_refused=True)


def test_an_end_that_came_too_late_moves_nothing_and_lets_the_next_begin(
    worker: JobWorker, path: str
) -> None:
    job, waiting = make_job(status="started", claim=5), make_job()
    late = Settlement(job_id=job.id, claim=4, outcome=Completed(result=1, text="1"))

    settled, told = turn([late], [waiting.id], worker_id=worker.id)

    assert settled == []
    assert [one.id for one in told.jobs] == [waiting.id]
    assert not JobAttempt.objects.exists()
