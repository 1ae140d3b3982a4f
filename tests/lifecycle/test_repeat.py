"""A workflow's jobs get one more attempt together, each in its turn."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.base import workflow
from jobs.broker import keys
from jobs.dispatch import outbox
from jobs.lifecycle import control
from jobs.models import JobDependency, JobStatus, JobWorker
from jobs.statuses import TERMINAL, Status
from tests.jobs import Echo
from tests.make import make_job, make_worker
from tests.workflows.test_dependents import FAILED, run

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


def diamond() -> list[JobStatus]:
    """Return the jobs of a workflow: two that run side by side, a sum of both, and a mail of it."""
    return workflow(
        flights=Echo.step(value="flights"),
        airports=Echo.step(value="airports"),
        total=Echo.step(value="total").after("flights", "airports"),
        mail=Echo.step(value="mail").after("total"),
    ).dispatch()


def statuses(jobs: list[JobStatus]) -> list[str]:
    for job in jobs:
        job.refresh_from_db()
    return [job.status for job in jobs]


def pushed(redis: Redis) -> set[str]:
    outbox.hear()
    return {each.decode() for each in redis.lrange(keys.queue("default"), 0, -1)}


def test_a_completed_workflow_runs_again_in_its_order(redis: Redis, worker: JobWorker) -> None:
    jobs = diamond()
    for job in jobs:
        run(job, worker=worker)
    assert statuses(jobs) == ["completed"] * 4
    redis.flushdb()

    moved = control.repeat([job.id for job in jobs], by="alice")

    assert sorted(moved.moved) == sorted(job.id for job in jobs)
    assert statuses(jobs) == ["queued", "queued", "waiting", "waiting"]
    assert pushed(redis) == {str(job.id) for job in jobs[:2]}
    assert [(job.held_by, job.result, job.finished_at) for job in jobs[2:]] == [
        *[("dependency", None, None)] * 2,
    ]
    run(jobs[0], worker=worker)
    assert statuses(jobs) == ["completed", "queued", "waiting", "waiting"]
    run(jobs[1], worker=worker)
    assert statuses(jobs) == ["completed", "completed", "queued", "waiting"]
    run(jobs[2], worker=worker)
    run(jobs[3], worker=worker)
    assert statuses(jobs) == ["completed"] * 4
    assert [job.attempt for job in jobs] == [2] * 4


def test_a_failed_branch_is_repeated_and_what_completed_is_not(
    redis: Redis, worker: JobWorker
) -> None:
    jobs = diamond()
    run(jobs[0], worker=worker)
    run(jobs[1], FAILED, worker=worker)
    assert statuses(jobs) == ["completed", "failed", "cancelled", "cancelled"]

    control.repeat([job.id for job in jobs[1:]], by="alice")

    assert statuses(jobs) == ["completed", "queued", "waiting", "waiting"]
    for job in jobs[1:]:
        run(job, worker=worker)
    assert statuses(jobs) == ["completed"] * 4


def test_what_a_person_cancelled_waits_for_its_parents_too(redis: Redis, worker: JobWorker) -> None:
    jobs = diamond()
    control.cancel([jobs[3].id], by="bob")
    run(jobs[0], FAILED, worker=worker)
    run(jobs[1], worker=worker)
    assert statuses(jobs) == ["failed", "completed", "cancelled", "cancelled"]

    control.repeat([jobs[0].id, jobs[2].id, jobs[3].id], by="alice")

    assert statuses(jobs) == ["queued", "completed", "waiting", "waiting"]
    assert jobs[3].cancel_requested_by == ""


def test_what_is_cancelled_while_it_waits_again_is_not_revived_by_its_parent(
    redis: Redis, worker: JobWorker
) -> None:
    jobs = diamond()
    run(jobs[0], FAILED, worker=worker)
    control.repeat([jobs[0].id, jobs[2].id, jobs[3].id], by="alice")
    assert not JobDependency.objects.filter(broken_claim__isnull=False).exists()
    control.cancel([jobs[2].id], by="bob")
    run(jobs[0], FAILED, worker=worker)

    control.retry([jobs[0].id], by="alice")

    assert statuses(jobs)[2] == "cancelled"


def test_jobs_that_belong_to_no_workflow_are_retried(redis: Redis) -> None:
    ended = [make_job(status=status) for status in sorted(TERMINAL)]
    living = make_job(status=Status.STARTED)

    moved = control.repeat([job.id for job in [*ended, living]], by="alice")

    assert statuses(ended) == ["queued"] * 3
    assert moved.refused == [living.id]
    assert pushed(redis) == {str(job.id) for job in ended}


def test_a_job_waits_for_a_parent_that_somebody_else_has_retried(
    redis: Redis, worker: JobWorker
) -> None:
    jobs = diamond()
    for job in jobs:
        run(job, worker=worker)
    control.retry([jobs[2].id], by="bob")

    moved = control.repeat([job.id for job in jobs], by="alice")

    assert moved.refused == [jobs[2].id]
    assert statuses(jobs) == ["queued", "queued", "queued", "waiting"]
