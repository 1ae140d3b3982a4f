"""Two at one row at once: PostgreSQL's lock decides who is first, and the second is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from redis import Redis

from jobs.errors import WorkerLost
from jobs.lifecycle import control
from jobs.lifecycle.control import Moved
from jobs.lifecycle.outcomes import Completed, Failed, GivenBack, Outcome, Settlement, Snoozed
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import Beginning, start
from jobs.maintenance import prune, queued, rescue
from jobs.maintenance.prune import Selection
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import TERMINAL, Status
from tests import others
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

FAILURE = Failed(error_class="ValueError", message="no", traceback="", wait=timedelta(seconds=90))
ENDS = {
    "retrying": FAILURE,
    "scheduled": Snoozed(delay=timedelta(seconds=90)),
    "queued": GivenBack(),
}


def in_turn(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Do `first` and, before it commits, `second` in another connection; return what each said."""
    with transaction.atomic():
        firsts = first()
        seconds = others.at_once(second)
        others.until_blocked()
    return firsts, seconds.result(30)


def settled(job: JobStatus, outcome: Outcome) -> list[str]:
    ends = settle([Settlement(job_id=job.id, claim=job.claim, outcome=outcome)])
    return [str(end.status) for end in ends]


def started() -> JobStatus:
    return start([make_job().id], worker_id=make_worker().id).jobs[0]


def fresh(job: JobStatus) -> JobStatus:
    return JobStatus.objects.get(id=job.id)


def test_a_cancel_that_is_first_lets_no_start_happen(redis: Redis) -> None:
    job, worker = make_job(), make_worker()

    with transaction.atomic():
        told = control.cancel([job.id], by="alice")
        # It passes over a row that somebody holds.
        begun = others.at_once(lambda: start([job.id], worker_id=worker.id)).result(30)

    assert (told.moved, begun) == ([job.id], Beginning(dropped=[job.id]))
    assert (fresh(job).status, fresh(job).attempt) == ("cancelled", 0)


def test_a_cancel_after_the_start_is_asked_of_the_worker(redis: Redis) -> None:
    job, worker = make_job(), make_worker()

    begun, told = in_turn(
        lambda: start([job.id], worker_id=worker.id).jobs,
        lambda: control.cancel([job.id], by="alice"),
    )

    assert [one.id for one in begun] == [job.id]
    assert told == Moved(moved=[], asked=[job.id], refused=[])
    assert (fresh(job).status, fresh(job).cancel_requested_by) == ("started", "alice")


@pytest.mark.parametrize("outcome", ENDS.values(), ids=ENDS)
def test_a_cancel_that_is_before_the_end_decides_it(redis: Redis, outcome: Outcome) -> None:
    job = started()

    told, ended = in_turn(
        lambda: control.cancel([job.id], by="alice"), lambda: settled(job, outcome)
    )

    assert told.asked == [job.id]
    assert ended == ["cancelled"]
    assert JobAttempt.objects.get(job=job).status == "cancelled"


@pytest.mark.parametrize("outcome", ENDS.values(), ids=ENDS)
def test_a_cancel_right_after_an_end_that_goes_on_cancels_what_goes_on(
    redis: Redis, outcome: Outcome
) -> None:
    job = started()

    _, told = in_turn(lambda: settled(job, outcome), lambda: control.cancel([job.id], by="alice"))

    assert told == Moved(moved=[job.id], asked=[], refused=[])
    assert fresh(job).status == "cancelled"


def test_a_cancel_does_not_undo_a_completion(redis: Redis) -> None:
    job = started()

    told, ended = in_turn(
        lambda: control.cancel([job.id], by="alice"), lambda: settled(job, Completed(result=1))
    )

    assert (told.asked, ended) == ([job.id], ["completed"])


def test_a_cancel_after_the_completion_is_refused(redis: Redis) -> None:
    job = started()

    _, told = in_turn(
        lambda: settled(job, Completed(result=1)), lambda: control.cancel([job.id], by="alice")
    )

    assert told == Moved(moved=[], asked=[], refused=[job.id])
    assert (fresh(job).status, fresh(job).cancel_requested_at) == ("completed", None)


def lose(job: JobStatus) -> list[str]:
    return [str(end.status) for end in rescue.settle_lost([job], WorkerLost("silent"))]


def test_a_rescue_after_a_cancel_revives_nothing(redis: Redis) -> None:
    job = started()

    told, ended = in_turn(lambda: control.cancel([job.id], by="alice"), lambda: lose(job))

    assert (told.asked, ended) == ([job.id], ["cancelled"])


def test_a_cancel_after_a_rescue_cancels_the_retry(redis: Redis) -> None:
    job = started()

    ended, told = in_turn(lambda: lose(job), lambda: control.cancel([job.id], by="alice"))

    assert (ended, told.moved) == (["retrying"], [job.id])
    assert fresh(job).status == "cancelled"


def test_of_a_worker_and_a_rescue_the_first_one_says_how_it_ended(redis: Redis) -> None:
    won, lost = started(), started()

    _, late = in_turn(lambda: settled(won, Completed(result=1)), lambda: lose(won))
    _, late_worker = in_turn(lambda: lose(lost), lambda: settled(lost, Completed(result=1)))

    assert (late, late_worker) == ([], [])
    assert (fresh(won).status, fresh(lost).status) == ("completed", "retrying")
    assert JobAttempt.objects.count() == 2


@pytest.mark.parametrize("status", ["scheduled", "waiting", "queued", "started", "retrying"])
def test_of_two_cancels_one_is_refused(redis: Redis, status: str) -> None:
    job = make_job(status=Status(status))

    first, second = in_turn(
        lambda: control.cancel([job.id], by="alice"), lambda: control.cancel([job.id], by="bob")
    )

    assert first.moved + first.asked == [job.id]
    assert second == Moved(moved=[], asked=[], refused=[job.id])
    assert fresh(job).cancel_requested_by == "alice"


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_of_two_retries_one_is_refused(redis: Redis, status: Status) -> None:
    job = make_job(status=status, attempt=5)

    first, second = in_turn(
        lambda: control.retry([job.id], by="alice"), lambda: control.retry([job.id], by="bob")
    )

    assert (first.moved, second.moved, second.refused) == ([job.id], [], [job.id])
    assert (fresh(job).max_attempts, fresh(job).claim) == (6, job.claim + 1)


def test_a_cancel_of_a_due_job_and_its_promotion(redis: Redis) -> None:
    job = make_job(status=Status.RETRYING, due_at="2026-01-01T00:00Z")

    with transaction.atomic():
        control.cancel([job.id], by="alice")
        # It skips a row that somebody holds.
        promoted = others.at_once(lambda: queued.promote(Status.RETRYING, limit=10))
        assert promoted.result(30) == []

    assert queued.promote(Status.RETRYING, limit=10) == []
    assert fresh(job).status == "cancelled"


def test_two_at_one_moment_never_both_win(redis: Redis) -> None:
    """Without a script: both let loose by a barrier, again and again."""
    worker = make_worker()
    for _ in range(25):
        job = make_job()
        barrier = threading.Barrier(2)

        def cancel(job: JobStatus = job, barrier: threading.Barrier = barrier) -> Moved:
            connection.ensure_connection()
            barrier.wait(30)
            return control.cancel([job.id], by="alice")

        def begin(job: JobStatus = job, barrier: threading.Barrier = barrier) -> list[JobStatus]:
            connection.ensure_connection()
            barrier.wait(30)
            return start([job.id], worker_id=worker.id).jobs

        told, begun = (work.result(30) for work in [others.at_once(w) for w in (cancel, begin)])

        now = fresh(job)
        if begun:
            assert (told.moved, told.asked) == ([], [job.id])
            assert (now.status, now.cancel_requested_by) == ("started", "alice")
        else:
            assert (told.moved, told.asked) == ([job.id], [])
            assert (now.status, now.attempt) == ("cancelled", 0)


def pruned() -> int:
    lanes = prune.lanes(Selection(older_than=timedelta(0)))
    return sum(deleted for lane in lanes for deleted, _ in prune.batches(lane))


def test_a_retry_and_a_prune_of_one_job(redis: Redis) -> None:
    kept, gone = (make_job(status=Status.FAILED) for _ in range(2))

    with transaction.atomic():
        control.retry([kept.id], by="alice")
        # It skips a row that somebody holds.
        assert others.at_once(pruned).result(30) == 1

    assert fresh(kept).status == "queued"
    assert control.retry([gone.id], by="alice").refused == [gone.id]
    assert pruned() == 0
