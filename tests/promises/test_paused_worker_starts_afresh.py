"""P4: a worker that was paused for longer than its lease is refused, and starts afresh."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.db import connection, transaction

from jobs.broker import claim, client
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Await, Echo, FailTwice, Sleep, SleepTooLong
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"lease": 3.0, "heartbeat": 0.5, "leader_lease": 1.0}


def pause(worker: Worker, *, everything: bool) -> list[psutil.Process]:
    """Stop the supervisor, and what is below it; return what was stopped, it first."""
    stopped = [psutil.Process(worker.process.pid), *(worker.tree() if everything else [])]
    for process in stopped:
        process.suspend()
    return stopped


def resume(processes: list[psutil.Process]) -> None:
    for process in processes:
        if process.is_running():
            process.resume()


def runner_of(worker: Worker) -> psutil.Process:
    [pid] = wait.until("its runner", worker.runners)
    return psutil.Process(pid)


def test_it_kills_its_runners_registers_anew_and_works_on(workers: Workers) -> None:
    worker = workers.start("default", **QUICK)
    job = Sleep.dispatch(seconds=2)
    wait.until_status(job, "started")
    former, runner = worker.row.id, runner_of(worker)
    stopped = pause(worker, everything=True)
    other = workers.start("default", **QUICK)
    wait.until_status(job, "completed")

    resume(stopped)

    wait.until("its new row", lambda: worker.row.id != former)
    wait.until("the end of its former runner", lambda: not runner.is_running())
    assert "declared dead: its runners are killed, it registers anew" in worker.log
    other.stop()
    wait.until_status(Echo.dispatch(value="it works on"), "completed")
    ends = JobAttempt.objects.filter(job=job).order_by("number")
    assert list(ends.values_list("outcome", "error_class", "worker_id")) == [
        ("failed", "WorkerLost", former),
        ("completed", "", other.row.id),
    ]


@pytest.mark.parametrize("everything", [False, True], ids=["supervisor", "everything"])
def test_a_late_finisher_of_it_moves_nothing(
    workers: Workers, tmp_path: Path, *, everything: bool
) -> None:
    worker = workers.start("default", **QUICK)
    job = Await.dispatch(path=str(tmp_path / "go"))
    wait.until_status(job, "started")
    former, runner = worker.row.id, runner_of(worker)
    stopped = pause(worker, everything=everything)
    workers.start("default", **QUICK)
    wait.until("its second attempt", lambda: wait.until_status(job, "started").attempt == 2)

    # The runner comes back before its supervisor, and its work is done.
    (tmp_path / "go.1").touch()
    resume([runner])

    wait.until("its refusal", lambda: f"{job.id} has moved on" in worker.log)
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("started", 2)
    (tmp_path / "go.2").touch()
    wait.until_status(job, "completed")
    assert job.result == {"attempt": 2}
    resume(stopped)
    wait.until("its new row", lambda: worker.row.id != former)


def test_a_job_whose_runner_alone_is_paused_stays_with_its_worker(
    workers: Workers, tmp_path: Path
) -> None:
    worker = workers.start("default", **QUICK)
    job = Await.dispatch(path=str(tmp_path / "go"))
    wait.until_status(job, "started")
    runner = runner_of(worker)

    runner.suspend()
    silent = workers.start("high", **QUICK)  # a measure of time: it is dead after a lease
    silent.signal(signal.SIGKILL)
    silent.wait()
    dead = silent.row
    wait.until("a lease's end", lambda: type(dead).objects.get(id=dead.id).dead_at)
    (tmp_path / "go.1").touch()
    runner.resume()

    wait.until_status(job, "completed")
    assert (job.attempt, job.losses) == (1, 0)


def test_a_paused_runners_job_is_timed_out_all_the_same(workers: Workers) -> None:
    worker = workers.start("default", lease=60.0)
    job = SleepTooLong.dispatch()
    wait.until_status(job, "started")

    runner_of(worker).suspend()

    wait.until_status(job, "failed")
    assert job.error.startswith("TimedOut")


def test_a_runner_that_is_paused_before_its_job_begins_is_replaced(workers: Workers) -> None:
    job = FailTwice.dispatch()
    with transaction.atomic():
        # Nobody can start it: the runner hangs between its claim and its start.
        JobStatus.objects.select_for_update().get(id=job.id)
        worker = workers.start("default", **QUICK)
        wait.until("its claim", lambda: claim.held(client.for_work(), worker.row.id))

        runner_of(worker).suspend()

    wait.until_status(job, "completed")
    assert "said nothing for 3 s: killed" in worker.log
    assert (job.losses, job.attempt) == (0, 3)  # it never began there: nothing is lost or spent


def test_a_site_with_one_worker_that_was_paused_loses_nothing(
    workers: Workers, tmp_path: Path
) -> None:
    worker = workers.start("default", **QUICK)
    job = Await.dispatch(path=str(tmp_path / "go"))
    wait.until_status(job, "started")
    stopped = pause(worker, everything=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(4)")  # longer than the lease

    resume(stopped)

    later = Echo.dispatch(value="after it", run_at=timedelta(seconds=1.5))
    (tmp_path / "go.1").touch()
    wait.until_status(job, "completed")
    wait.until_status(later, "completed")
    assert (job.attempt, job.losses) == (1, 0)
