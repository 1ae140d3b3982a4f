"""What an error means for a job, and what of it nobody may read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.base import BaseJob
from jobs.errors import Cancel, Snooze, WorkerLost
from jobs.lifecycle import verdict
from jobs.lifecycle.outcomes import Cancelled, Failed, Snoozed
from jobs.models import JobStatus


class Unreadable(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


class BrokenBackoff(BaseJob):
    """Break once more when it is asked how long to wait."""

    redact = ("password",)

    password: str

    @staticmethod
    def backoff(attempt: int, error: BaseException) -> timedelta:
        raise error

    def _perform(self) -> Any:
        raise AssertionError


class LeavingBackoff(BaseJob):
    """Leave the process that asks how long to wait, which may be the leader's."""

    @staticmethod
    def backoff(_attempt: int, _error: BaseException) -> timedelta:
        raise SystemExit(3)

    def _perform(self) -> Any:
        raise AssertionError


def job(job_class: str = "Secretive") -> JobStatus:
    params = {"user": "alice", "password": "correct-horse"}
    return JobStatus(job_class=job_class, params=params, attempt=1, max_attempts=5)


def test_an_error_is_a_failed_attempt_that_is_tried_again() -> None:
    outcome = verdict.of_error(job(), ValueError("no"))

    assert isinstance(outcome, Failed)
    assert (outcome.error_class, outcome.message) == ("ValueError", "no")
    assert outcome.wait is not None


def test_what_a_job_may_raise_is_no_failure() -> None:
    assert verdict.of_error(job(), Snooze(timedelta(1))) == Snoozed(delay=timedelta(1))
    assert verdict.of_error(job(), Cancel("done")) == Cancelled(reason="done")


@pytest.mark.parametrize("job_class", ["Secretive", "BrokenBackoff"])
@pytest.mark.parametrize("error", [ValueError, Cancel])
def test_a_redacted_value_is_in_no_part_of_an_outcome(
    job_class: str, error: type[Exception]
) -> None:
    outcome = verdict.of_error(job(job_class), error("login with correct-horse"))

    assert "correct-horse" not in str(outcome)
    assert "login with [redacted]" in str(outcome)


def test_a_backoff_that_breaks_ends_the_job_and_says_so() -> None:
    outcome = verdict.of_error(job("BrokenBackoff"), Unreadable())

    assert isinstance(outcome, Failed)
    assert outcome.wait is None
    assert outcome.reason == "its backoff raised Unreadable: (its text can't be had: KeyError)"


def test_a_backoff_that_exits_takes_nobody_along() -> None:
    outcome = verdict.of_loss(job("LeavingBackoff"), WorkerLost("gone"))

    assert outcome.wait is None
    assert outcome.reason == "its backoff raised SystemExit: 3"
