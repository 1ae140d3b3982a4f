"""What becomes of an attempt, end to end: row, attempts, log."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission

from jobs.models import JobAttempt, JobStatus
from tests import jobs, wait
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def ended(job: JobStatus) -> JobStatus:
    return wait.until_status(job, "completed", "failed", "cancelled")


def test_a_job_completes_with_its_result(workers: Workers) -> None:
    job = jobs.Echo.dispatch(value="ñ")

    worker = workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.result, job.attempt) == ("completed", {"value": "ñ"}, 1)
    assert f"Job {job.id}: completed (Echo, attempt 1, 0.0" in worker.log
    assert worker.process.returncode == 0


def test_a_job_that_fails_twice_shows_three_attempts_and_waits_by_its_policy(
    workers: Workers,
) -> None:
    job = jobs.FailTwice.dispatch()

    workers.start("default")

    assert ended(job).status == "completed"
    first, second, third = JobAttempt.objects.filter(job=job).order_by("number")
    assert [first.outcome, second.outcome, third.outcome] == ["failed", "failed", "completed"]
    for attempt, longest in ((first, 0.2), (second, 0.4)):
        assert "ConnectionError: no answer on attempt" in attempt.traceback
        assert "tests/jobs.py" in attempt.traceback
        assert "jobs/runner" not in attempt.traceback
        assert timedelta(0) <= attempt.due_at - attempt.ended_at <= timedelta(seconds=longest)
    assert second.started_at >= first.due_at
    assert third.started_at >= second.due_at


def test_a_snooze_spends_no_attempt(workers: Workers) -> None:
    job = jobs.SnoozeOnce.dispatch()

    workers.start("default")

    assert ended(job).result == {"attempt": 1}
    outcomes = JobAttempt.objects.filter(job=job).order_by("claim").values_list("outcome", "number")
    assert list(outcomes) == [("snoozed", 1), ("completed", 1)]


def test_a_job_that_cancels_itself_says_why(workers: Workers) -> None:
    job = jobs.CancelItself.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.error) == ("cancelled", "nothing to do today")


def test_a_redacted_value_is_nowhere_in_error_traceback_or_log(workers: Workers) -> None:
    job = jobs.Secretive.dispatch(user="alice", password="correct-horse")

    worker = workers.run("default", "--burst")

    job.refresh_from_db()
    attempt = JobAttempt.objects.get(job=job)
    assert job.error.startswith("ValueError: alice can't log in with [redacted]")
    assert "correct-horse" not in job.error + attempt.message + attempt.traceback + worker.log


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nan", "rows[1] is nan"),
        ("nul", "NUL"),
        ("surrogate", "surrogate"),
        ("object", "when is a object"),
        ("large", "the limit is 1,048,576"),
    ],
)
def test_a_result_that_cannot_be_stored_fails_and_names_the_place(
    workers: Workers, what: str, says: str
) -> None:
    job = jobs.Return.dispatch(what=what)

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert job.status == "failed"
    assert says in job.error


def test_a_job_without_a_result_completes_with_none(workers: Workers) -> None:
    job = jobs.Return.dispatch(what="nothing")

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.result) == ("completed", None)


def test_system_exit_is_a_failed_attempt_and_the_runner_works_on(workers: Workers) -> None:
    leaving, after = jobs.Leave.dispatch(how="exit"), jobs.Echo.dispatch()

    workers.run("default", "--burst")

    leaving.refresh_from_db()
    after.refresh_from_db()
    assert (leaving.status, after.status) == ("failed", "completed")
    assert leaving.error.startswith("SystemExit")


@pytest.mark.parametrize(
    ("job_class", "params", "says"),
    [
        (jobs.KillItself, {"signal_number": 9}, "killed by SIGKILL"),
        (jobs.KillItself, {"signal_number": 11}, "killed by SIGSEGV"),
        (jobs.Leave, {"how": "at once"}, "exited with code 7"),
    ],
)
def test_a_killed_attempt_is_settled_at_once_and_names_the_signal(
    workers: Workers, job_class: type, params: dict, says: str
) -> None:
    job = job_class.dispatch(**params)
    after = jobs.Echo.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    after.refresh_from_db()
    assert (job.status, after.status) == ("failed", "completed")
    assert says in job.error
    assert "peak memory was" in job.error
    assert JobAttempt.objects.get(job=job).peak_memory > 10_000_000


def test_a_job_that_kills_its_workers_ends_failed_with_that_reason(workers: Workers) -> None:
    job = jobs.KillItself.dispatch()
    JobStatus.objects.filter(id=job.id).update(max_attempts=10, losses=2)

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.losses) == ("failed", 3)
    assert "lost 3 workers" in job.error


def test_an_atomic_jobs_writes_and_its_end_are_one_commit(workers: Workers) -> None:
    job = jobs.Atomic.dispatch(failing_attempts=1)

    workers.start("default")

    assert ended(job).status == "completed"
    assert JobAttempt.objects.filter(job=job).count() == 2
    assert Permission.objects.filter(codename=f"written_{job.id}").count() == 1


def test_an_atomic_job_whose_result_is_bad_leaves_no_write(workers: Workers) -> None:
    job = jobs.Atomic.dispatch(result_is_bad=True)

    workers.start("default")

    assert ended(job).status == "failed"
    assert not Permission.objects.filter(codename=f"written_{job.id}").exists()


def test_a_job_that_leaves_a_transaction_open_harms_no_other(workers: Workers) -> None:
    broken, after = jobs.LeaveTransactionOpen.dispatch(), jobs.Echo.dispatch()

    workers.run("default", "--burst")

    broken.refresh_from_db()
    after.refresh_from_db()
    assert (broken.status, after.status) == ("completed", "completed")


def test_a_failed_attempt_keeps_the_progress_it_had_reached(workers: Workers) -> None:
    job = jobs.FailHalfway.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.progress["done"]) == ("failed", 2)


def test_an_error_whose_text_cannot_be_had_fails_the_attempt_and_no_runner(
    workers: Workers,
) -> None:
    job = jobs.Unspeakable.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert job.status == "failed"
    assert "its text can't be had: SystemExit" in job.error
