"""A job's children are ordinary processes, and none of them is a runner."""

from __future__ import annotations

import pytest

from jobs.models import JobAttempt
from tests import jobs
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def test_a_job_can_terminate_its_child(workers: Workers) -> None:
    job = jobs.TerminateChild.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.result) == ("completed", -15)


def test_a_child_that_comes_back_from_the_job_ends_there(workers: Workers) -> None:
    job = jobs.ForkAndReturn.dispatch()

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert (job.status, job.result) == ("completed", "parent")
    assert JobAttempt.objects.count() == 1
