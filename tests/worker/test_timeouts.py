"""No job outlives its timeout by five seconds, and its SQL not by two more."""

from __future__ import annotations

import time

import pytest
from django.db import connection, transaction

from jobs.models import JobAttempt, JobStatus
from tests import jobs, wait
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process]

LATEST_SECONDS = 5


def backends_of(worker: Worker) -> list[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, query FROM pg_stat_activity WHERE application_name LIKE %s",
            [f"jobsite {worker.row.id} %"],
        )
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("job_class", "params"),
    [
        (jobs.SleepTooLong, {}),
        (jobs.Swallow, {}),
        (jobs.Swallow, {"bare": True}),
        (jobs.SlowStatement, {}),
        (jobs.TightCall, {}),
    ],
    ids=["sleeps", "swallows", "bare-except", "statement", "c-call"],
)
def test_a_job_ends_within_its_timeout_and_five_seconds(
    workers: Workers, job_class: type, params: dict
) -> None:
    worker = workers.start("default")
    job = job_class.dispatch(**params)

    wait.until_status(job, "failed", limit_seconds=20)

    attempt = JobAttempt.objects.get(job=job)
    ran = (attempt.ended_at - attempt.started_at).total_seconds()
    assert ran <= job_class.timeout.total_seconds() + LATEST_SECONDS
    assert job.error.startswith("TimedOut: The attempt ran for longer than its timeout of 0:00:01")
    wait.until(
        "the end of its statement",
        lambda: (
            not [query for _, query in backends_of(worker) if query.startswith("SELECT pg_sleep")]
        ),
        limit_seconds=2,
    )


def test_the_backend_of_a_killed_runner_is_gone(workers: Workers) -> None:
    worker = workers.start("default")
    job = jobs.TightCall.dispatch()
    wait.until("the job's backend", lambda: backends_of(worker))
    before = {pid for pid, _ in backends_of(worker)}

    wait.until_status(job, "failed", limit_seconds=20)

    wait.until(
        "the end of its backend",
        lambda: not before & {pid for pid, _ in backends_of(worker)},
        limit_seconds=2,
    )


def test_a_job_that_returns_after_its_timeout_has_failed(workers: Workers) -> None:
    job = jobs.TooLate.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert job.status == "failed"
    assert job.error.startswith("TimedOut")


def test_the_runner_works_on_after_a_timeout(workers: Workers) -> None:
    late, after = jobs.SlowStatement.dispatch(), jobs.Echo.dispatch()

    workers.run("default", "--burst")

    late.refresh_from_db()
    after.refresh_from_db()
    assert (late.status, after.status) == ("failed", "completed")


def test_a_job_that_touches_the_alarm_costs_the_next_one_nothing(workers: Workers) -> None:
    touching, late = jobs.TouchAlarm.dispatch(), jobs.SleepTooLong.dispatch()

    workers.run("default", "--burst")

    touching.refresh_from_db()
    late.refresh_from_db()
    assert (touching.status, late.losses) == ("completed", 0)
    assert late.error.startswith("TimedOut")


def test_a_job_that_is_done_does_not_time_out_while_its_end_is_recorded(workers: Workers) -> None:
    workers.start("default")
    job = jobs.DoneInTime.dispatch()
    wait.until_status(job, "started")

    with transaction.atomic():
        JobStatus.objects.select_for_update().get(id=job.id)
        time.sleep(5)  # longer than its timeout and KILL_AFTER

    wait.until_status(job, "completed")
    assert job.attempt == 1
