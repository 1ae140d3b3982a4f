"""P2, P3: a row that somebody holds, or that PostgreSQL refuses, holds up no other."""

from __future__ import annotations

import pytest

from jobs.models import JobAttempt, JobStatus
from tests import others, wait
from tests.jobs import Echo, Pid, Sleep
from tests.refusals import refused
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

RAISE = "RAISE EXCEPTION 'not to my taste'"  # P0001, as triggers do
HEARTBEAT_SECONDS = 0.5


def until_completed(jobs: list[JobStatus]) -> None:
    for job in jobs:
        wait.until_status(job, "completed", "failed", "retrying")
        assert job.status == "completed"


def test_a_running_row_that_somebody_holds_is_recorded_when_it_is_let_go(workers: Workers) -> None:
    worker = workers.start("default", lease=3, heartbeat=HEARTBEAT_SECONDS)
    held = Sleep.dispatch(seconds=0.5)
    wait.until_status(held, "started")

    with others.elsewhere() as cursor:
        others.lock(cursor, held)
        until_completed(
            [*Echo.dispatch_many([{}] * 20), Sleep.dispatch(seconds=0.2), Echo.dispatch()]
        )
        for _ in range(4):  # its supervisor asks each time who runs it
            beaten_at = worker.row.heartbeat_at
            wait.until("a heartbeat", lambda at=beaten_at: worker.row.heartbeat_at > at)
        held.refresh_from_db()
        assert held.status == "started"
        assert not JobAttempt.objects.filter(job=held).exists()

    wait.until_status(held, "completed", "retrying")
    assert [attempt.outcome for attempt in JobAttempt.objects.filter(job=held)] == ["completed"]
    worker.stop()
    assert "StaleAttempt" not in worker.log


def test_a_queued_row_that_somebody_holds_lets_the_others_pass(workers: Workers) -> None:
    held = Echo.dispatch()
    free = Echo.dispatch_many([{}] * 20)

    with others.elsewhere() as cursor:
        others.lock(cursor, held)
        workers.start("default")
        until_completed(free)
        held.refresh_from_db()
        assert held.status == "queued"

    until_completed([held])


def test_a_worker_that_is_told_to_stop_waits_for_a_held_row_within_its_grace(
    workers: Workers,
) -> None:
    worker = workers.start("default")
    held = Sleep.dispatch(seconds=0.2)
    wait.until_status(held, "started")

    with others.elsewhere() as cursor:
        others.lock(cursor, held)
        until_completed([Echo.dispatch()])
        worker.signal()
        worker.until_said("stop")

    assert worker.wait() == 0
    held.refresh_from_db()
    assert held.status == "completed"


def test_an_end_that_a_trigger_refuses_fails_alone_with_its_words(workers: Workers) -> None:
    bad = Pid.dispatch()
    good = Pid.dispatch_many([{}] * 20)

    with refused(f"NEW.outcome = 'completed' AND NEW.job_id = '{bad.id}'", by=RAISE):
        worker = workers.start("default")
        until_completed(good)
        wait.until_status(bad, "failed", "retrying")

    assert bad.status == "failed"
    assert "not to my taste" in bad.error
    assert len({job.result for job in good}) == 1, "a runner died"
    assert "doesn't answer" not in worker.log


def test_a_start_that_a_trigger_refuses_stays_queued_and_the_others_run(workers: Workers) -> None:
    bad = Pid.dispatch()
    good = Pid.dispatch_many([{}] * 20)

    condition = f"NEW.status = 'started' AND NEW.id = '{bad.id}'"
    with refused(condition, by=RAISE, when="UPDATE ON job_statuses"):
        worker = workers.start("default")
        until_completed(good)
        worker.until_said("PostgreSQL refuses a start, the job stays queued")
        assert str(bad.id) in worker.log
        assert "doesn't answer" not in worker.log

    until_completed([bad])


def test_an_end_that_can_not_even_fail_is_left_to_the_rescue(workers: Workers) -> None:
    bad = Pid.dispatch()
    good = Pid.dispatch_many([{}] * 20)

    with refused(f"NEW.job_id = '{bad.id}'", by=RAISE):
        worker = workers.start("default", lease=3, heartbeat=HEARTBEAT_SECONDS)
        until_completed(good)
        worker.until_said(f"Job {bad.id}: it stays started, no end is accepted: not to my taste")

    wait.until_status(bad, "retrying", "completed")
    lost = JobAttempt.objects.filter(job=bad).earliest("claim")
    assert lost.error_class == "WorkerLost"
    assert len({job.result for job in good}) == 1, "a runner died"
