"""What PostgreSQL refuses, waiting doesn't mend: neither runner nor keeper hangs in it."""

from __future__ import annotations

import os
import signal

import pytest

from jobs.models import JobAttempt, JobStatus
from tests import jobs, wait
from tests.refusals import refused
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process]


def runner_of(worker: Worker, job: JobStatus) -> int | None:
    found = [item["pid"] for item in worker.row.runners if item.get("job_id") == str(job.id)]
    return found[0] if found else None


def test_a_runner_whose_outcome_is_refused_ends_and_its_job_counts_as_lost(
    workers: Workers,
) -> None:
    worker = workers.start("default")
    [runner] = wait.until("its runner", worker.runners)

    with refused("NEW.outcome = 'completed'"):
        job = jobs.Echo.dispatch()
        lost = wait.until("its attempt", lambda: JobAttempt.objects.filter(job=job).first())

    assert lost.error_class == "WorkerLost"
    assert f"Job {job.id}: its outcome is refused, this runner ends" in worker.log
    assert "refused by a test" in worker.log
    assert "doesn't answer" not in worker.log
    wait.until_status(jobs.Echo.dispatch(), "completed")
    wait.until("another runner", lambda: worker.runners() and runner not in worker.runners())


def test_a_keeper_whose_settlement_is_refused_does_what_comes_next(workers: Workers) -> None:
    worker = workers.start("default", "--concurrency", "2", lease=3, heartbeat=0.5)
    first = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(first, "started")
    runner = wait.until("its runner", lambda: runner_of(worker, first))

    with refused(f"NEW.job_id = '{first.id}'"):
        os.kill(runner, signal.SIGKILL)
        second = jobs.Crash.dispatch(how="killed")
        wait.until_status(second, "failed")
        beaten_at = worker.row.heartbeat_at
        wait.until("a heartbeat", lambda: worker.row.heartbeat_at > beaten_at)
        assert worker.row.dead_at is None
        # Of two deaths at one moment the second may be told of first: then this comes after it.
        worker.until_said("A task of the keeper is refused, and given up")
        worker.until_said(f"Job {first.id} can't be settled")
        first.refresh_from_db()
        assert first.status == "started"
        assert "doesn't answer" not in worker.log

    # By the heartbeat, which finds that nobody runs it.
    wait.until_status(first, "retrying")


def test_a_start_that_is_refused_is_said_and_tried_again_with_pauses(workers: Workers) -> None:
    worker = workers.start("default")
    wait.until_status(jobs.Echo.dispatch(), "completed")

    with refused("NEW.status = 'started'", when="UPDATE ON job_statuses"):
        job = jobs.Echo.dispatch()
        worker.until_said("PostgreSQL refuses what it is asked, a person is needed")
        job.refresh_from_db()
        assert (job.status, job.claim) == ("queued", 0)
        assert "doesn't answer" not in worker.log

    wait.until_status(job, "completed")
