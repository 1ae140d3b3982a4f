"""P4: an EtlJob goes on where its last attempt stopped, and loads each row exactly once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from random import Random

import pytest

from jobs.errors import WorkerLost
from jobs.maintenance import rescue
from jobs.models import JobAttempt, JobCheckpoint, JobRejectedRow
from tests import etl_jobs, others, wait
from tests.etl_jobs import (
    CountAsync,
    CountUp,
    LoadAndDie,
    LoadLate,
    LoadNumbers,
    LoadPatiently,
    expected,
    loaded,
)
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]
DOUBLED = "rows are missing or loaded twice"


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with etl_jobs.table():
        yield


def test_kills_at_any_moment_load_each_row_once(workers: Workers) -> None:
    jobs = LoadNumbers.dispatch_many([{"rows": 1_500, "pause": 0.005}] * 6)
    # However often one is hit: a job that has lost three workers would be given up.
    worker = workers.start("default", "--concurrency", "2", heartbeat=0.5, max_losses=100)
    rand = Random(5)

    for _ in range(8):
        runners = wait.until(
            "both runners", lambda: len(worker.runners()) == 2 and worker.runners()
        )
        time.sleep(rand.uniform(0.05, 0.4))  # the moment of the kill, not a wait
        with contextlib.suppress(ProcessLookupError):
            os.kill(rand.choice(runners), signal.SIGKILL)

    for job in jobs:
        wait.until_status(job, "completed", limit_seconds=2 * wait.LIMIT_SECONDS)
        assert loaded(job) == expected(1_500), DOUBLED
        assert job.result == {"rows_in": 1_500, "rows_out": 1_466, "rows_rejected": 15}
        kept = JobRejectedRow.objects.filter(job=job).order_by("number")
        assert [row.row for row in kept] == list(range(100, 1_501, 100))
    lost = JobAttempt.objects.filter(error_class="WorkerLost")
    assert lost.count() >= 4, "the kills have hit nobody"


def test_a_stop_in_the_middle_loads_each_row_once(workers: Workers) -> None:
    job = LoadNumbers.dispatch(rows=1_500, pause=0.01)
    worker = workers.start("default", grace=0.1)
    wait.until("a batch", lambda: JobCheckpoint.objects.filter(job=job, rows_in__gt=0).exists())

    worker.stop()

    job.refresh_from_db()
    assert (job.status, job.attempt, job.interruptions) == ("queued", 0, 1)
    reached = JobCheckpoint.objects.get(job=job).rows_in
    assert 0 < reached < 1_500
    workers.start("default")
    wait.until_status(job, "completed")
    assert loaded(job) == expected(1_500), DOUBLED


def test_an_error_in_the_middle_loads_each_row_once(workers: Workers) -> None:
    jobs = [
        LoadNumbers.dispatch(rows=95, fails_at=55),
        CountUp.dispatch(rows=20, fails_at=11),
    ]

    workers.start("default")

    for job in jobs:
        wait.until_status(job, "completed")
        assert JobAttempt.objects.filter(job=job, error_class="ConnectionError").count() == 1
    assert loaded(jobs[0]) == expected(95)
    assert loaded(jobs[1]) == list(range(1, 21))
    assert jobs[1].result == {"begun_at": 10}


def test_a_pause_in_the_middle_loads_each_row_once_and_spends_no_attempt(workers: Workers) -> None:
    job = LoadPatiently.dispatch()

    workers.start("default")

    wait.until_status(job, "completed")
    assert loaded(job) == list(range(1, 11)), DOUBLED
    assert job.attempt == 1


def test_an_async_job_goes_on_behind_its_checkpoint(workers: Workers) -> None:
    job = CountAsync.dispatch()

    workers.start("default")

    wait.until_status(job, "completed")
    assert job.result == {"begun_at": 1}
    assert JobCheckpoint.objects.get(job=job).position == 2


def test_a_late_attempt_loads_nothing_once_the_next_has_begun(workers: Workers) -> None:
    worker = workers.start("default", "--concurrency", "2")
    with others.elsewhere() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(4712)")
        job = LoadLate.dispatch(lock=4712)
        wait.until(
            "its first batch", lambda: JobCheckpoint.objects.filter(job=job, position=5).exists()
        )
        others.until_blocked()
        job.refresh_from_db()
        # As the leader does to a worker that was silent for a lease.
        assert rescue.settle_lost([job], WorkerLost("silent"))
        wait.until_status(job, "completed")
        cursor.execute("COMMIT")

        wait.until("its word", lambda: "has moved on since claim" in worker.log)
    assert loaded(job) == list(range(1, 11)), DOUBLED
    job.refresh_from_db()
    assert (job.status, job.attempt, job.losses) == ("completed", 2, 1)


def test_losses_between_which_it_came_on_are_never_too_many(workers: Workers) -> None:
    job = LoadAndDie.dispatch(rows=25)

    workers.start("default")

    wait.until_status(job, "completed")
    assert loaded(job) == list(range(1, 26)), DOUBLED
    assert JobAttempt.objects.filter(job=job, error_class="WorkerLost").count() == 4
    assert (job.attempt, job.losses) == (5, 1)


def test_a_batch_that_kills_its_worker_each_time_fails_the_job(workers: Workers) -> None:
    job = LoadAndDie.dispatch(rows=25, dies_at=13)

    workers.start("default")

    wait.until_status(job, "failed")
    assert loaded(job) == list(range(1, 11)), DOUBLED
    assert (job.attempt, job.losses) == (3, 3)
    assert "it has lost 3 workers" in job.error
