"""The options of `manage.py rqworker`."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from jobs.models import JobStatus, JobWorker
from tests import jobs, wait
from tests.workers import MANAGE, Workers, environment

pytestmark = [pytest.mark.process]


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, MANAGE, "rqworker", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    return done.stderr


def refused_in_one_line(*arguments: str) -> str:
    said = refused(*arguments)
    assert len(said.strip().splitlines()) == 1
    return said


def test_high_is_emptied_before_low(workers: Workers) -> None:
    low = jobs.Echo.dispatch_many([{"value": str(n)} for n in range(3)], queue="low")
    high = jobs.Echo.dispatch_many([{"value": str(n)} for n in range(3)], queue="high")

    workers.run("high", "low", "--burst")

    started = JobStatus.objects.order_by("started_at").values_list("id", flat=True)
    assert list(started) == [job.id for job in (*high, *low)]


def test_max_jobs_counts_over_all_runners(workers: Workers) -> None:
    jobs.Echo.dispatch_many([{}] * 10)

    worker = workers.run("default", "--max-jobs", "3", "--concurrency", "2")

    assert worker.process.returncode == 0
    assert JobStatus.objects.filter(status="completed").count() == 3
    assert JobStatus.objects.filter(status="queued").count() == 7


def test_concurrency_runs_jobs_side_by_side(workers: Workers) -> None:
    workers.start("default", "--concurrency", "2")
    pair = jobs.Sleep.dispatch_many([{"seconds": 30}] * 2)

    for job in pair:
        wait.until_status(job, "started")

    assert JobStatus.objects.filter(status="started").count() == 2


def test_burst_waits_for_a_runner_that_still_holds_a_job(workers: Workers) -> None:
    jobs.Sleep.dispatch_many([{"seconds": 0.5}] * 3)

    workers.run("default", "--burst", "--concurrency", "2")

    assert JobStatus.objects.filter(status="completed").count() == 3


def test_a_worker_at_a_long_job_is_not_idle(workers: Workers) -> None:
    job = jobs.Sleep.dispatch(seconds=3)

    worker = workers.run("default", "--max-idle-time", "1", grace=0.5)

    assert worker.process.returncode == 0
    job.refresh_from_db()
    assert (job.status, job.interruptions) == ("completed", 0)


def test_a_name_of_a_living_worker_is_refused_with_one_line(workers: Workers) -> None:
    workers.start("default", "--name", "alpha")

    assert "A living worker is named 'alpha'" in refused_in_one_line("default", "--name", "alpha")


def test_a_name_left_by_a_killed_worker_is_taken_over_with_its_jobs(workers: Workers) -> None:
    first = workers.start("default", "--name", "alpha")
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    first.signal(signal.SIGKILL)
    first.wait()

    workers.start("low", "--name", "alpha")

    wait.until_status(job, "retrying", "queued", limit_seconds=10)
    assert "WorkerLost" in job.attempts.get().error_class
    assert JobWorker.objects.filter(name="alpha", dead_at=None).count() == 1


def test_a_long_release_is_cut_and_a_long_name_is_kept(workers: Workers, monkeypatch) -> None:
    monkeypatch.setenv("RELEASE", "r" * 150)

    worker = workers.start("default", "--name", "n" * 200)

    assert (worker.row.name, worker.row.release) == ("n" * 200, "r" * 100)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nosuchqueue",), "No queue is named 'nosuchqueue'"),
        (("default", "--with-scheduler"), "--with-scheduler"),
        (("default", "--job-class", "rq.job.Job"), "--job-class"),
        (("default", "--queue-class", "rq.Queue"), "--queue-class"),
        (("default", "--serializer", "pickle"), "JSON or nothing"),
        (("default", "--worker-class", "rq.SimpleWorker"), "no Supervisor"),
        (("default", "--max-jobs", "0"), "--max-jobs is a whole number from 1, not 0."),
        (("default", "--max-idle-time", "-1"), "--max-idle-time is a whole number from 1"),
        (("default", "--name", "n" * 201), "--name: up to 200 characters"),
        (("default", "--name", "two\nlines"), "--name: up to 200 characters"),
    ],
)
def test_what_would_break_a_promise_is_refused(
    transactional_db: None, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused_in_one_line(*arguments)


@pytest.mark.parametrize("seconds", ["-1", "nan", "1e9", "soon"])
def test_a_grace_is_a_number_of_seconds(transactional_db: None, seconds: str) -> None:
    assert f"--grace: seconds from 0 to 86400, not '{seconds}'" in refused("--grace", seconds)


def test_help_tells_of_concurrency(transactional_db: None) -> None:
    done = subprocess.run(
        [sys.executable, MANAGE, "rqworker", "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert "--concurrency N" in done.stdout
    assert "--grace SECONDS" in done.stdout
    assert "--burst" in done.stdout
