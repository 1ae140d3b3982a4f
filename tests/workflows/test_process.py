"""Workflows in a real worker: jobs of every kind release what waits for them, without the duty."""

from __future__ import annotations

import pytest

from jobs.base import chain, workflow
from jobs.models import JobAttempt
from tests import wait
from tests.async_jobs import AsyncEcho
from tests.jobs import AlwaysFail, Atomic, Echo, FailTwice, KillItself, SumOfParents
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

NO_DUTY = {"relay_interval": 3600.0}


def test_a_line_of_jobs_of_every_kind_runs_to_its_end(workers: Workers) -> None:
    workers.start("default", **NO_DUTY)
    jobs = chain(
        Echo.step(value="x"),
        AsyncEcho.step(),
        [Atomic.step(), Echo.step(), chain(AsyncEcho.step(), Echo.step())],
        SumOfParents.step(),
    ).dispatch()

    wait.until_status(jobs[-1], "completed")

    assert jobs[-1].result["names"] == ["Atomic", "Echo-2", "Echo-3"]
    assert JobAttempt.objects.count() == len(jobs)
    for job in jobs:
        job.refresh_from_db()
        for parent in job.dependencies.select_related("parent"):
            assert job.started_at >= parent.parent.finished_at


def test_every_way_to_fail_cancels(workers: Workers) -> None:
    workers.start("default", **NO_DUTY)
    ways = {
        "raised": AlwaysFail.step(),
        "killed": KillItself.step(),
    }
    for first in ways.values():
        parent, child, last = chain(
            first, Echo.step(), SumOfParents.step(on_parent_failure="run")
        ).dispatch()
        wait.until_status(last, "completed")
        wait.until_status(child, "cancelled")
        wait.until_status(parent, "failed")
        assert str(parent.id) in child.error
        assert last.result == {"values": [None], "names": ["Echo"], "failed": ["Echo"]}


def test_a_retry_that_is_still_to_come_is_no_failure(workers: Workers) -> None:
    workers.start("default", relay_interval=0.2)
    parent, child = workflow(a=FailTwice.step(), b=Echo.step().after("a")).dispatch()

    wait.until_status(child, "completed")

    parent.refresh_from_db()
    assert (parent.status, parent.attempt) == ("completed", 3)
