"""P5: what a moment does whose predecessors' jobs still live, with workers that run them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from jobs.lifecycle import control
from jobs.models import JobAttempt, JobStatus, ScheduleRun
from jobs.schedules import sync, tick
from jobs.statuses import TERMINAL, Status
from tests import wait
from tests.schedulers import Schedulers
from tests.workers import Workers

pytestmark = [pytest.mark.process]

MOMENTS = 6


def runs_of(name: str) -> list[ScheduleRun]:
    return list(ScheduleRun.objects.filter(schedule_name=name).order_by("logical_time"))


def attempts_of(name: str) -> list[JobAttempt]:
    found = JobAttempt.objects.filter(job__schedule=name, started_at__isnull=False)
    return list(found.order_by("job__logical_time").select_related("job"))


def all_have_ended(name: str) -> bool:
    return not JobStatus.objects.filter(schedule=name).exclude(status__in=TERMINAL).exists()


def lived(schedulers: Schedulers, workers: Workers, overlap: str, *, seconds: float = 1.5) -> None:
    """Have a schedule of each second make jobs that take longer, until all have ended."""
    entries = {
        overlap: {
            "job": "Sleep",
            "params": {"seconds": seconds},
            "every": "1s",
            "overlap": overlap,
            "queue": "low",
        }
    }
    workers.start("low", "--concurrency", "4")
    scheduler = schedulers.start_with(entries)
    wait.until("its moments", lambda: len(runs_of(overlap)) >= MOMENTS)
    scheduler.kill()
    wait.until("the end of its jobs", lambda: all_have_ended(overlap), limit_seconds=60)
    moments = [run.logical_time for run in runs_of(overlap)]
    assert len(moments) == (moments[-1] - moments[0]).total_seconds() + 1, "a hole"


def run_side_by_side(name: str) -> bool:
    by_start = sorted(attempts_of(name), key=lambda attempt: attempt.started_at)
    return any(later.started_at < earlier.ended_at for earlier, later in pairwise(by_start))


def outcomes_of(name: str) -> list[str]:
    return [run.outcome for run in runs_of(name)]


def test_skip_makes_none_beside_a_living_one(schedulers: Schedulers, workers: Workers) -> None:
    lived(schedulers, workers, "skip")

    assert not run_side_by_side("skip"), "two ran at once"
    skipped = [run for run in runs_of("skip") if run.outcome == "skipped"]
    assert skipped
    assert all("overlap is skip: the run of" in run.reason for run in skipped)


def test_queue_has_one_wait(schedulers: Schedulers, workers: Workers) -> None:
    lived(schedulers, workers, "queue", seconds=2.5)

    assert not run_side_by_side("queue"), "two ran at once"
    skipped = [run for run in runs_of("queue") if run.outcome == "skipped"]
    waited = [run for run in runs_of("queue") if "waits for the run of" in run.reason]
    assert skipped
    assert waited
    assert all("waits already" in run.reason for run in skipped)
    assert {run.job.status for run in waited} == {Status.COMPLETED}


def test_queue_all_runs_each_in_order(schedulers: Schedulers, workers: Workers) -> None:
    lived(schedulers, workers, "queue_all", seconds=2.2)

    assert not run_side_by_side("queue_all"), "two ran at once"
    assert set(outcomes_of("queue_all")) == {"dispatched"}
    attempts = attempts_of("queue_all")
    assert attempts == sorted(attempts, key=lambda attempt: attempt.started_at), "out of order"


def test_allow_runs_them_side_by_side(schedulers: Schedulers, workers: Workers) -> None:
    lived(schedulers, workers, "allow", seconds=2.5)

    assert run_side_by_side("allow")
    assert set(outcomes_of("allow")) == {"dispatched"}


def test_cancel_running_has_the_newest_take_the_others_place(
    schedulers: Schedulers, workers: Workers
) -> None:
    lived(schedulers, workers, "cancel_running", seconds=2)

    assert not run_side_by_side("cancel_running"), "two ran at once"
    jobs = list(JobStatus.objects.filter(schedule="cancel_running").order_by("logical_time"))
    *cancelled, last = jobs
    assert last.status == Status.COMPLETED, "the newest was not left to run"
    assert {job.status for job in cancelled} == {Status.CANCELLED}, "others were left to run"
    assert {job.cancel_requested_by for job in cancelled} == {"schedule cancel_running"}
    assert all("overlap is cancel_running" in job.cancel_reason for job in cancelled)
    assert any("cancelled the run of" in run.reason for run in runs_of("cancel_running"))


def made(name: str) -> JobStatus:
    """Handle what is due, as soon as a moment has come; return the job of the newest."""
    runs = wait.until(f"a moment of {name}", lambda: tick.run(name))
    return runs[-1].job


@pytest.mark.parametrize("how", ["hear nothing", "hold the interpreter"])
def test_cancel_running_ends_those_that_ignore_it_before_the_newest_begins(
    workers: Workers, settings, tmp_path, how: str
) -> None:
    params = {"path": str(tmp_path / "steps"), "word": "begun", "seconds": 600, "how": how}
    settings.JOB_SCHEDULES = {
        "stubborn": {"job": "Step", "params": params, "every": "1s", "overlap": "cancel_running"}
    }
    sync.sync()
    workers.start("default", "--concurrency", "2", kill_after=0.5)
    first = wait.until_status(made("stubborn"), "started")

    second = wait.until_status(made("stubborn"), "started")
    third = made("stubborn")
    fourth = wait.until_status(made("stubborn"), "started")

    control.cancel([fourth.id], by="ann")
    wait.until("the end of all", lambda: all_have_ended("stubborn"))
    for job in (first, second, third):
        job.refresh_from_db()
        assert (job.status, job.cancel_requested_by) == ("cancelled", "schedule stubborn")
    assert "had to be killed" in JobAttempt.objects.get(job=first).message
    assert not run_side_by_side("stubborn"), "two ran at once"
