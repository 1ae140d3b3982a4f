"""P3, P4, P6: what holds for a job holds for one of many on an event loop, and neither starves."""

from __future__ import annotations

import time

import pytest

from jobs.lifecycle import control
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.async_jobs import (
    AsyncBlock,
    AsyncKill,
    AsyncSleep,
    AsyncTell,
    AsyncTooLong,
)
from tests.jobs import Echo, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def sleepers(count: int, seconds: float, **options: object) -> list[JobStatus]:
    return AsyncSleep.dispatch_many([{"seconds": seconds}] * count, **options)


def until_all(jobs: list[JobStatus], status: str, limit_seconds: float = 60) -> None:
    ids = [job.id for job in jobs]
    wait.until(
        f"{len(ids)} jobs {status}",
        lambda: JobStatus.objects.filter(id__in=ids, status=status).count() == len(ids),
        limit_seconds=limit_seconds,
    )


def test_five_hundred_wait_at_once_in_one_runner(workers: Workers) -> None:
    workers.start("default", "--async-slots", "500")
    begun = time.monotonic()

    until_all(sleepers(500, 1.0), "completed")

    seconds = time.monotonic() - begun
    assert seconds < 25, "one after the other they would take 500 s"
    assert JobAttempt.objects.filter(outcome="completed").count() == 500


def test_more_than_there_are_slots_take_turns(workers: Workers) -> None:
    workers.start("default", "--async-slots", "3")

    jobs = sleepers(9, 0.3)
    wait.until_status(jobs[0], "started", "completed")
    assert JobStatus.objects.filter(status="started").count() <= 3

    until_all(jobs, "completed")


def test_one_is_stopped_at_its_timeout_and_no_other(workers: Workers) -> None:
    workers.start("default")
    [other] = sleepers(1, 3.0)

    late = AsyncTooLong.dispatch()

    wait.until_status(late, "failed", limit_seconds=15)
    assert late.error.startswith("TimedOut: The attempt ran for longer than its timeout")
    wait.until_status(other, "completed")
    assert other.attempt == 1


def test_one_that_hears_nothing_is_killed_and_its_neighbours_run_again(workers: Workers) -> None:
    workers.start("default")
    [other] = sleepers(1, 4.0)
    wait.until_status(other, "started")

    deaf = AsyncTooLong.dispatch(deaf=10_000)

    wait.until_status(deaf, "failed", limit_seconds=20)
    assert "its runner was killed" in JobAttempt.objects.get(job=deaf).message
    wait.until_status(other, "completed")
    assert (other.attempt, other.losses) == (2, 0)


def test_one_is_cancelled_and_no_other(workers: Workers) -> None:
    workers.start("default")
    first, second = sleepers(2, 60.0)
    until_all([first, second], "started")

    control.cancel([first.id], by="alice", reason="wrong one")

    wait.until_status(first, "cancelled", limit_seconds=15)
    assert first.error == "cancelled by alice: wrong one"
    second.refresh_from_db()
    assert (second.status, second.attempt) == ("started", 1)


def test_progress_is_seen_while_it_runs(workers: Workers) -> None:
    workers.start("default")
    job = AsyncTell.dispatch()

    def done() -> int:
        job.refresh_from_db()
        return (job.progress or {}).get("done", 0)

    first = wait.until("its progress", done)
    wait.until("further progress", lambda: done() > first)


def test_a_job_that_holds_the_loop_is_killed_and_its_neighbours_run_again(
    workers: Workers,
) -> None:
    workers.start("default", async_block_limit=1.5)
    neighbours = sleepers(3, 3.0)
    until_all(neighbours, "started")

    blocker = AsyncBlock.dispatch(seconds=60, how="interpreter")

    wait.until_status(blocker, "completed", limit_seconds=30)
    lost = JobAttempt.objects.get(job=blocker, number=1)
    assert lost.error_class == "LoopHeld"
    assert "held the event loop for" in lost.message
    assert blocker.losses == 1
    until_all(neighbours, "completed")
    attempts = JobAttempt.objects.filter(job__in=neighbours, number=1)
    assert {one.error_class for one in attempts} == {"WorkerLost"}
    assert all(str(blocker.id) in one.message for one in attempts)
    assert set(
        JobStatus.objects.filter(id__in=[n.id for n in neighbours]).values_list("losses", flat=True)
    ) == {0}


def test_a_callback_that_holds_the_loop_costs_its_job_the_runner(workers: Workers) -> None:
    workers.start("default", async_block_limit=1.5)
    [neighbour] = sleepers(1, 3.0)
    until_all([neighbour], "started")

    blocker = AsyncBlock.dispatch(seconds=60, how="callback")

    wait.until_status(blocker, "completed", limit_seconds=30)
    assert JobAttempt.objects.get(job=blocker, number=1).error_class == "LoopHeld"
    wait.until_status(neighbour, "completed")
    assert (neighbour.attempt, neighbour.losses) == (2, 0)


def test_all_are_suspect_where_nobody_knows_who_holds_the_loop(workers: Workers) -> None:
    workers.start("default", async_block_limit=1.5)
    [neighbour] = sleepers(1, 3.0)
    until_all([neighbour], "started")

    blocker = AsyncBlock.dispatch(seconds=60, how="protocol")

    wait.until_status(blocker, "completed", limit_seconds=30)
    until_all([neighbour], "completed")
    first = JobAttempt.objects.filter(job__in=[blocker, neighbour], number=1)
    assert {one.error_class for one in first} == {"WorkerLost"}
    assert all("a callback held its event loop" in one.message for one in first)
    neighbour.refresh_from_db()
    assert (neighbour.losses, blocker.losses) == (1, 1)


def test_one_that_holds_the_loop_again_and_again_ends(workers: Workers) -> None:
    workers.start("default", async_block_limit=0.5, max_losses=2)

    blocker = AsyncBlock.dispatch(seconds=60, every=True)

    wait.until_status(blocker, "failed", limit_seconds=30)
    assert "it has lost 2 workers" in blocker.error


def test_the_death_of_a_runner_settles_all_that_ran_there(workers: Workers) -> None:
    # So long that nobody but the supervisor, at the death, can have settled anything.
    workers.start("default", lease=600.0, heartbeat=60.0)
    neighbours = sleepers(20, 2.0)
    until_all(neighbours, "started")

    AsyncKill.dispatch(queue="default")

    until_all(neighbours, "completed")
    first = JobAttempt.objects.filter(job__in=neighbours, number=1)
    assert {one.message.split(",")[0].split(";")[0] for one in first} == {
        "The runner was killed by SIGKILL"
    }


def test_sigterm_waits_for_them(workers: Workers) -> None:
    worker = workers.start("default")
    jobs = sleepers(20, 2.0)
    until_all(jobs, "started")

    assert worker.stop() == 0

    assert JobStatus.objects.filter(status="completed", attempt=1).count() == 20
    assert JobAttempt.objects.count() == 20


def test_what_outlasts_the_grace_is_given_back(workers: Workers) -> None:
    worker = workers.start("default", "--grace", "1")
    jobs = sleepers(20, 60.0)
    until_all(jobs, "started")

    assert worker.stop() == 0

    assert JobStatus.objects.filter(status="queued", attempt=0, interruptions=1).count() == 20


def test_sync_jobs_run_beside_a_full_lane(workers: Workers) -> None:
    workers.start("default", "--async-slots", "10")
    waiting = sleepers(10, 60.0)
    until_all(waiting, "started")

    for _ in range(3):
        wait.until_status(Echo.dispatch(), "completed")

    assert JobStatus.objects.filter(status="started").count() == 10


def test_async_jobs_begin_and_end_beside_a_long_sync_one(workers: Workers) -> None:
    workers.start("default")
    long = Sleep.dispatch(seconds=60)
    wait.until_status(long, "started")

    until_all(sleepers(30, 0.1), "completed")

    long.refresh_from_db()
    assert long.status == "started"


def test_beside_a_long_sync_job_no_other_sync_one_is_taken(workers: Workers) -> None:
    workers.start("default")
    long = Sleep.dispatch(seconds=3)
    wait.until_status(long, "started")

    echo = Echo.dispatch()
    [behind] = sleepers(1, 0.1)

    until_all([echo, behind], "completed")
    long.refresh_from_db()
    assert long.finished_at <= JobAttempt.objects.get(job=echo).started_at
    assert long.finished_at <= JobAttempt.objects.get(job=behind).started_at


def test_burst_waits_for_the_last_of_them(workers: Workers) -> None:
    sleepers(5, 1.0)

    workers.run("default", "--burst")

    assert JobStatus.objects.filter(status="completed").count() == 5


def test_max_jobs_counts_them(workers: Workers) -> None:
    jobs = sleepers(5, 0.2)

    workers.run("default", "--max-jobs", "3")

    assert JobStatus.objects.filter(status="completed").count() == 3
    assert JobStatus.objects.filter(status="queued").count() == len(jobs) - 3
