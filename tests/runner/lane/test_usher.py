"""The usher: what leaves the lane is settled and told of, and others begin while main is busy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from jobs.broker import claim, keys
from jobs.models import JobAttempt, JobStatus
from jobs.processes.outage import Outages
from jobs.runner.kept import Kept
from jobs.runner.lane import grip
from jobs.runner.lane.grip import Grip
from jobs.runner.lane.intake import Intake
from jobs.runner.lane.usher import Usher
from jobs.runner.ledger import Ledger
from jobs.runner.watch import Reason
from tests import wait
from tests.async_jobs import AsyncEcho, AsyncRaise, AsyncSleep
from tests.jobs import Echo
from tests.make import make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


class Desk:
    """An usher of a test's own, in a runner that is none."""

    def __init__(self, slots: int = 100) -> None:
        self.said: list[dict[str, Any]] = []
        self.is_main_busy = threading.Event()
        self.worker = make_worker()
        outages = Outages("The usher", log=logging.getLogger("jobs.worker"))
        self.usher = Usher(
            slots=slots,
            grip=Grip(memoryview(bytearray(grip.SIZE_BYTES))),
            intake=Intake(
                worker_id=self.worker.id,
                worker_name=self.worker.name,
                queues=["high", "default"],
                say=self._hear,
            ),
            ledger=Ledger(
                worker_id=self.worker.id,
                worker_name=self.worker.name,
                postgresql=outages.postgresql,
                kept=Kept(self._hear),
            ),
            outages=outages,
            may_claim=self.is_main_busy.is_set,
        )
        self.usher.start()

    def _hear(self, **message: Any) -> None:
        self.said.append(message)

    def heard(self, word: str) -> list[Any]:
        return [
            one
            for said in self.said
            if said["say"] == word
            for one in said.get("ids", said.get("jobs"))
        ]


@pytest.fixture
def desk(redis: Redis) -> Iterator[Desk]:
    made = Desk()
    yield made
    made.is_main_busy.clear()
    for attempt in made.usher.lane.attempts:
        made.usher.lane.stop(Reason.INTERRUPT, job_id=attempt.job.id, claim=attempt.job.claim)
    wait.until("the lane is empty", lambda: made.usher.is_idle)
    made.usher.close()


def status_of(*jobs: JobStatus) -> set[str]:
    return set(
        JobStatus.objects.filter(id__in=[job.id for job in jobs]).values_list("status", flat=True)
    )


def test_async_jobs_at_the_head_begin_while_the_main_thread_is_busy(
    desk: Desk, redis: Redis
) -> None:
    jobs = [*AsyncEcho.dispatch_many([{}] * 5), *AsyncEcho.dispatch_many([{}] * 5, queue="high")]

    desk.is_main_busy.set()

    wait.until("all completed", lambda: status_of(*jobs) == {"completed"})
    assert JobAttempt.objects.filter(worker_id=desk.worker.id, outcome="completed").count() == 10
    wait.until("nothing is claimed any more", lambda: not claim.held(redis, desk.worker.id))
    ids = {str(job.id) for job in jobs}
    wait.until("the supervisor was told", lambda: set(desk.heard("left")) == ids)
    assert {job["job_id"] for job in desk.heard("entered")} == ids


def test_nothing_is_taken_while_the_main_thread_claims_itself(desk: Desk, redis: Redis) -> None:
    with desk.usher.door:
        desk.is_main_busy.set()
        job = AsyncEcho.dispatch()
        assert not desk.usher._take()
        assert redis.llen(keys.queue("default")) == 1

    wait.until_status(job, "completed")


def test_what_stands_behind_a_sync_job_waits_for_it(desk: Desk, redis: Redis) -> None:
    first, sync, behind = AsyncEcho.dispatch(), Echo.dispatch(), AsyncEcho.dispatch()

    desk.is_main_busy.set()

    wait.until_status(first, "completed")
    assert desk.usher._intake.take(10) == []
    assert redis.lrange(keys.queue("default"), 0, -1) == [
        str(sync.id).encode(),
        str(behind.id).encode(),
    ]


def test_a_later_queue_waits_for_the_head_of_an_earlier_one(desk: Desk) -> None:
    Echo.dispatch(queue="high")
    AsyncEcho.dispatch()

    assert desk.usher._intake.take(10) == []


def test_a_duplicate_is_dropped(desk: Desk, redis: Redis) -> None:
    job = AsyncEcho.dispatch()
    redis.lpush(keys.queue("default"), str(job.id), str(job.id))

    desk.is_main_busy.set()

    wait.until_status(job, "completed")
    wait.until("the queue is empty", lambda: not redis.llen(keys.queue("default")))
    wait.until("nothing is claimed", lambda: not claim.held(redis, desk.worker.id))
    assert JobAttempt.objects.count() == 1


def test_no_more_begin_than_there_is_room_for(redis: Redis) -> None:
    desk = Desk(slots=2)
    jobs = AsyncSleep.dispatch_many([{"seconds": 0.3}] * 5)
    seen = set()

    desk.is_main_busy.set()

    def look() -> bool:
        seen.add(JobStatus.objects.filter(status="started").count())
        return status_of(*jobs) == {"completed"}

    wait.until("all completed", look)
    assert max(seen) == 2
    wait.until("all is told", lambda: desk.usher.is_idle)
    desk.usher.close()


def test_one_whose_outcome_cannot_be_stored_fails_alone(desk: Desk) -> None:
    bad = AsyncRaise.dispatch(what="nan")
    good = AsyncEcho.dispatch_many([{}] * 5)

    desk.is_main_busy.set()

    wait.until_status(bad, "failed")
    wait.until("the others completed", lambda: status_of(*good) == {"completed"})


def test_times_are_the_jobs_own(desk: Desk) -> None:
    job = AsyncSleep.dispatch(seconds=0.5)
    desk.is_main_busy.set()
    wait.until_status(job, "completed")

    attempt = JobAttempt.objects.get(job=job)
    seconds = (attempt.ended_at - attempt.started_at).total_seconds()
    assert 0.5 <= seconds < 5.0


def test_a_job_that_runs_is_shown_while_it_runs(desk: Desk, redis: Redis) -> None:
    job = AsyncSleep.dispatch(seconds=60.0)

    desk.is_main_busy.set()

    wait.until("the started registry", lambda: redis.zcard(keys.started("default")) == 1)
    assert status_of(job) == {"started"}
