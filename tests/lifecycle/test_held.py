"""Rows that somebody else's transaction holds cost nobody but themselves."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from jobs.dispatch import outbox
from jobs.lifecycle import announce, unsettled
from jobs.lifecycle.outcomes import Completed, Failed, Settlement
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import Beginning, start
from jobs.lifecycle.turn import turn
from jobs.maintenance import relay, whereabouts
from jobs.models import JobAttempt, JobStatus, JobWorker
from jobs.statuses import Status
from tests import others
from tests.make import make_job, make_worker

LONG_AGO = "2026-01-01T00:00Z"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


def completed(*jobs: JobStatus) -> list[Settlement]:
    # With its text, as a runner has it: without, one alone is no case for single.py.
    outcome = Completed(result=1, text="1")
    return [Settlement(job_id=job.id, claim=job.claim, outcome=outcome) for job in jobs]


def running(worker: JobWorker, count: int) -> list[JobStatus]:
    return start([make_job().id for _ in range(count)], worker_id=worker.id).jobs


@pytest.mark.parametrize("count", [1, 3])
def test_a_start_passes_over_a_row_that_somebody_holds(worker: JobWorker, count: int) -> None:
    held, *free = [make_job() for _ in range(count)]
    ids = [held.id, *(job.id for job in free)]

    with others.elsewhere() as cursor:
        others.lock(cursor, held)
        told = others.at_once(lambda: turn([], ids, worker_id=worker.id)[1]).result(30)

    assert told.dropped == [held.id]
    assert [job.id for job in told.jobs] == ids[1:]
    assert told.later == []


@pytest.mark.parametrize("count", [1, 3])
def test_a_turn_passes_over_an_end_that_somebody_holds(worker: JobWorker, count: int) -> None:
    held, *free = running(worker, count)
    waiting = make_job()

    def work() -> Any:
        return turn(completed(held, *free), [waiting.id], worker_id=worker.id)

    with others.elsewhere() as cursor:
        others.lock(cursor, held)
        settled, told = others.at_once(work).result(30)
        assert unsettled.look(completed(held)).held == {held.id}

    assert {end.job_id for end in settled} == {job.id for job in free}
    assert [job.id for job in told.jobs] == [waiting.id]
    assert unsettled.look(completed(held)).running == {held.id}
    assert [end.status for end in settle(completed(held), wait=False)] == ["completed"]


def test_what_is_recorded_already_is_found(worker: JobWorker) -> None:
    [job] = running(worker, 1)
    [end] = settle(completed(job))

    found = unsettled.look(completed(job))

    assert found.recorded == [end]
    assert (found.held, found.running) == (set(), set())


def test_what_another_has_recorded_came_too_late(worker: JobWorker) -> None:
    [job] = running(worker, 1)
    lost = Failed(error_class="WorkerLost", message="silent", traceback="", wait=None)
    settle([Settlement(job_id=job.id, claim=job.claim, outcome=lost)])

    found = unsettled.look(completed(job))

    assert (found.recorded, found.held, found.running) == ([], set(), set())


@pytest.mark.redis
def test_a_queued_row_that_was_passed_over_is_pushed_again(redis: Redis, worker: JobWorker) -> None:
    # So many that the relay looks for none but these in its list.
    older = [make_job(updated_at=LONG_AGO, due_at=LONG_AGO) for _ in range(whereabouts.OLDEST)]
    job = make_job(updated_at=LONG_AGO)
    outbox.push([*older, job])
    relay.push_lost()  # whose first look is at all rows
    redis.rpoplpush("rq:queue:default", "taken")
    redis.hset(f"jobs:claims:{worker.id}", str(job.id), "default")
    assert relay.push_lost() == 0

    announce.dropped([job.id], worker_name=worker.name, worker_id=worker.id)

    assert relay.push_lost() == 1
    assert redis.lindex("rq:queue:default", 0) == str(job.id).encode()


def test_a_held_row_is_no_stranger(worker: JobWorker) -> None:
    # A stranger would be run as a plain rq job.
    job = make_job()

    with others.elsewhere() as cursor:
        others.lock(cursor, job)
        told = others.at_once(lambda: start([job.id], worker_id=worker.id)).result(30)

    assert told == Beginning(dropped=[job.id])
    assert JobStatus.objects.get().status == Status.QUEUED
    assert not JobAttempt.objects.exists()
