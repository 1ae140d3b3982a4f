"""P2, P5: only the database's clock decides; a host's may be an hour off, either way."""

from __future__ import annotations

import itertools
import signal
import time
from datetime import timedelta

import pytest

from jobs.models import JobAttempt, JobStatus, JobWorker, Lease, ScheduleRun, clock
from tests import host_clock, wait
from tests.jobs import AtomicSleep, DoneInTime, Echo, FailTwice, Sleep, SleepTooLong, WhatTimeIsIt
from tests.schedulers import Schedulers
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process]

QUICK = {"lease": 3.0, "heartbeat": 0.5}
A_WHILE = timedelta(seconds=20)  # of a busy machine; far from an hour

both_ways = pytest.mark.parametrize("hours", [-1, 1], ids=["an hour slow", "an hour fast"])


@pytest.fixture
def start_wrong(workers: Workers, monkeypatch: pytest.MonkeyPatch):
    """Return a function that starts a worker on a host whose clock is so many hours off."""

    def start(hours: float, *arguments: str) -> Worker:
        with monkeypatch.context() as environment:
            environment.setenv(host_clock.VARIABLE, str(hours))
            return workers.start(*arguments, **QUICK)

    return start


def all_ended() -> bool:
    return not JobStatus.objects.living().exists()


@both_ways
def test_it_runs_jobs_in_their_time_and_nobody_is_declared_dead(
    workers: Workers, start_wrong, hours: int
) -> None:
    wrong = start_wrong(hours, "high")
    wait.until("its lead", lambda: Lease.objects.filter(holder=wrong.row.id).exists())
    workers.start("low", **QUICK)
    began = clock.read()
    told, later = {}, []
    for queue in ("high", "low"):
        told[queue] = WhatTimeIsIt.dispatch(queue=queue, lane=queue)
        later.append(Echo.dispatch(queue=queue, run_at=timedelta(seconds=1)))
        later.append(Echo.dispatch(queue=queue, run_at=began + timedelta(seconds=2)))
        FailTwice.dispatch(queue=queue)
        DoneInTime.dispatch(queue=queue)
        SleepTooLong.dispatch(queue=queue)
        Sleep.dispatch(queue=queue, seconds=QUICK["lease"] + 1)

    wait.until("the end of all", all_ended)

    for queue, off in (("high", hours), ("low", 0)):
        told[queue].refresh_from_db()
        assert abs(told[queue].result["time"] - time.time() - off * 3600) < 60  # it is wrong indeed
        later.append(JobStatus.objects.get(id=told[queue].result["echo"]))
    for job in later:
        job.refresh_from_db()
        [attempt] = JobAttempt.objects.filter(job=job)
        assert began <= job.created_at <= attempt.started_at <= attempt.ended_at <= clock.read()
        assert timedelta(0) <= job.due_at - job.created_at < A_WHILE, "due by another clock"
        assert attempt.started_at - began < A_WHILE
    retried = JobAttempt.objects.filter(job__job_class="FailTwice").order_by("job", "number")
    for before, after in itertools.pairwise(retried):
        assert after.job_id != before.job_id or after.started_at >= before.due_at
    failed = JobStatus.objects.exclude(status="completed")
    assert {job.job_class for job in failed} == {"SleepTooLong"}
    assert not JobStatus.objects.filter(losses__gt=0).exists()
    assert not JobWorker.objects.exclude(dead_at=None).exists()


@pytest.mark.parametrize(
    ("dead", "living"), [(-1, 0), (0, 1)], ids=["the slow one dies", "the fast one rescues"]
)
def test_the_jobs_of_a_dead_one_run_on_another(start_wrong, dead: int, living: int) -> None:
    job = AtomicSleep.dispatch()  # its first attempt would take minutes
    first = start_wrong(dead, "default")
    wait.until_status(job, "started")
    first.signal(signal.SIGKILL)
    first.wait()

    start_wrong(living, "default")

    wait.until_status(job, "completed")
    assert (job.attempt, job.losses) == (2, 1)


@both_ways
def test_a_scheduler_ticks_at_the_databases_moments(schedulers: Schedulers, hours: int) -> None:
    began = clock.read()
    schedulers.start(**{host_clock.VARIABLE: str(hours)})
    wait.until("ticks of the wrong one", lambda: len(ticks()) >= 2)
    schedulers.start()
    before = len(ticks())

    wait.until("ticks of both", lambda: len(ticks()) >= before + 2)

    for tick in ticks():
        assert began - timedelta(seconds=1) < tick.logical_time <= tick.created_at, "another clock"
        assert tick.created_at - tick.logical_time < A_WHILE
    assert len({tick.logical_time for tick in ticks()}) == len(ticks())


def ticks() -> list[ScheduleRun]:
    return list(ScheduleRun.objects.filter(schedule_name="each-second"))
