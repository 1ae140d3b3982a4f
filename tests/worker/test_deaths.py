"""Whatever dies of a worker, what it held goes on."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import psutil
import pytest
from redis import Redis

from jobs.broker import claim, client, keys
from jobs.lifecycle import control, start
from jobs.models import JobAttempt
from jobs.runner.seen import Seen
from jobs.worker import losses
from tests import jobs, wait
from tests.make import make_worker
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process]


def mother_of(worker: Worker) -> psutil.Process:
    [mother] = psutil.Process(worker.process.pid).children()
    return mother


def test_a_worker_whose_mother_dies_settles_her_jobs_and_starts_itself_anew(
    workers: Workers,
) -> None:
    worker = workers.start("default")
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    former = worker.row.id

    mother_of(worker).kill()

    wait.until("its new row", lambda: worker.row.id != former)
    lost = JobAttempt.objects.get(job=job)
    assert lost.message == "The worker's mother process died, and the runner with her."
    control.cancel([job.id], by="alice")  # its retry would take the only runner for a minute
    after = jobs.Echo.dispatch()
    wait.until_status(after, "completed")
    due = jobs.Echo.dispatch(run_at=timedelta(seconds=0.1))
    # Sooner than the lease of the duties that died with her.
    wait.until_status(due, "completed", limit_seconds=5)
    assert worker.stop() == 0


def test_a_worker_hears_its_mothers_death_and_a_runners_last_words_at_once(
    workers: Workers,
) -> None:
    worker = workers.start("default")
    former, [runner] = worker.row.id, wait.until("its runner", worker.runners)
    # The child keeps the runner's end of the channel open: after its words comes no end of file.
    job = jobs.LeaveAChild.dispatch()
    wait.until_status(job, "started")
    worker.signal(signal.SIGSTOP)
    wait.until_status(job, "completed")
    mother_of(worker).kill()
    wait.until("the runner's death", lambda: not psutil.pid_exists(runner))

    worker.signal(signal.SIGCONT)

    try:
        wait.until("its new row", lambda: worker.row.id != former)
        wait.until_status(jobs.Echo.dispatch(), "completed")
        assert worker.stop() == 0
    finally:
        psutil.Process(job.result).kill()  # it holds a connection to the test's database as well


def test_a_worker_that_starts_itself_anew_goes_on_counting_to_max_jobs(workers: Workers) -> None:
    worker = workers.start("default", "--max-jobs", "3")
    former = worker.row.id
    wait.until_status(jobs.Echo.dispatch(), "completed")
    wait.until("its runner", worker.runners)

    mother_of(worker).kill()

    wait.until("its new row", lambda: worker.row.id != former)
    rest = jobs.Echo.dispatch_many([{}] * 3)
    assert worker.wait() == 0
    assert "has run 2 job(s)" in worker.log
    for job in rest:
        job.refresh_from_db()
    assert [job.status for job in rest] == ["completed", "completed", "queued"]


def test_a_mother_that_reports_no_death_is_replaced(workers: Workers) -> None:
    worker = workers.start("default", lease=3, heartbeat=0.5)
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    former, [runner] = worker.row.id, wait.until("its runner", worker.runners)
    mother_of(worker).suspend()

    os.kill(runner, signal.SIGKILL)

    wait.until("its new row", lambda: worker.row.id != former)
    assert JobAttempt.objects.get(job=job).error_class == "WorkerLost"
    assert "did not report a death: killed" in worker.log


def test_a_worker_that_stops_does_not_start_itself_anew(workers: Workers) -> None:
    worker = workers.start("default")
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    worker.signal(signal.SIGTERM)
    wait.until("its word of the stop", lambda: "stops: asked to stop" in worker.log)

    mother_of(worker).kill()

    assert worker.wait() == 0
    job.refresh_from_db()
    assert job.status == "retrying"


def test_a_death_by_a_signal_without_a_name_is_settled_too(workers: Workers) -> None:
    job = jobs.KillItself.dispatch(signal_number=signal.SIGRTMIN + 3)

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert job.status == "failed"
    assert f"killed by signal {signal.SIGRTMIN + 3}" in job.error


def test_an_id_that_no_runner_heard_of_is_put_back(workers: Workers) -> None:
    worker = workers.start("high")
    job = jobs.Echo.dispatch()
    # As if Redis's answer to the claim had been lost.
    assert claim.take(client.for_work(), ["default"], worker.row.id, count=1).entries

    wait.until("its return", lambda: client.for_work().llen(keys.queue("default")))

    assert not claim.held(client.for_work(), worker.row.id)
    workers.start("default")
    wait.until_status(job, "completed")


def test_a_runner_of_a_worker_declared_dead_leaves_the_jobs_to_others(workers: Workers) -> None:
    silent = workers.start("default", lease=3, heartbeat=0.5)
    wait.until("its runner", silent.runners)
    silent.signal(signal.SIGSTOP)  # its runner goes on
    workers.start("high", lease=3, heartbeat=0.5)
    row = silent.row
    wait.until("its death", lambda: type(row).objects.get(id=row.id).dead_at)

    waiting = jobs.Echo.dispatch_many([{}] * 5)
    wait.until("its runner's refusal", lambda: "may start nothing" in silent.log)

    def listed_or_held() -> set[str]:
        redis = client.for_work()
        listed = redis.lrange(keys.queue("default"), 0, -1)
        return {*(entry.decode() for entry in listed), *claim.held(redis, row.id)}

    # Its runner takes one and puts it back meanwhile, perhaps between our two questions.
    wait.until("all", lambda: listed_or_held() == {str(job.id) for job in waiting})
    os.kill(silent.process.pid, signal.SIGCONT)
    for job in waiting:
        wait.until_status(job, "completed")


def test_what_a_living_runner_has_claimed_since_a_death_stays_with_it(
    transactional_db: None, redis: Redis
) -> None:
    worker, [lost, taken] = make_worker(), jobs.Echo.dispatch_many([{}] * 2)
    claim.take(redis, ["default"], worker.id, count=2)
    death = losses.Death(pid=0, code=-9, peak_memory=None, seen=Seen(taken=(str(lost.id),)))

    # As after an outage, which has held up the keeper for as long: `taken` was claimed meanwhile.
    losses.settle_death(
        death,
        worker_id=worker.id,
        worker_name=worker.name,
        announced=lambda: {str(lost.id), str(taken.id)},
    )

    assert set(claim.held(redis, worker.id)) == {str(taken.id)}
    assert redis.lrange(keys.queue("default"), 0, -1) == [str(lost.id).encode()]


def test_a_mother_that_can_fork_no_more_keeps_what_she_has(workers: Workers) -> None:
    worker = workers.start("default", "--concurrency", "2")
    both = wait.until("both runners", lambda: len(worker.runners()) == 2 and worker.runners())
    job = jobs.Sleep.dispatch(seconds=60)
    wait.until_status(job, "started")
    mother = mother_of(worker)
    limits = mother.rlimit(psutil.RLIMIT_NOFILE)
    mother.rlimit(psutil.RLIMIT_NOFILE, (4, limits[1]))
    dying = jobs.Crash.dispatch(how="killed")

    worker.until_said("No child could be forked")
    wait.until_status(dying, "failed")

    mother.rlimit(psutil.RLIMIT_NOFILE, limits)
    wait.until_status(jobs.Echo.dispatch(), "completed")
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("started", 1)
    assert len({*both} & {*worker.runners()}) == 1


def test_a_death_does_not_give_back_what_another_runner_of_the_worker_runs(
    transactional_db: None, redis: Redis
) -> None:
    worker, job = make_worker(), jobs.Echo.dispatch()
    [running] = start.start([job.id], worker_id=worker.id).jobs
    # The dead one had claimed a second entry of the same job, which a relay may have pushed.
    death = losses.Death(pid=0, code=-9, peak_memory=None, seen=Seen(taken=(str(job.id),)))

    losses.settle_death(
        death, worker_id=worker.id, worker_name=worker.name, announced=lambda: {str(job.id)}
    )

    job.refresh_from_db()
    assert (job.status, job.claim) == ("started", running.claim)
