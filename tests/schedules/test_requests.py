"""A schedule with steps makes a workflow at each moment, as one run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.errors import InvalidParams
from jobs.models import JobDependency, JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import control, making, requests, tick
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of
from jobs.statuses import Status
from tests import wait

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 11, 1, 2, tzinfo=UTC)
# "sum" is named before those that it waits for.
STEPS = {
    "sum": {"job": "Echo", "params": {"value": "sum"}, "after": ["orders", "stock"]},
    "orders": {"job": "Echo", "params": {"value": "{logical_date}"}},
    "stock": {"job": "Echo", "params": {"value": "stock"}, "queue": "high"},
}


def figures(**fields):
    entry = {"steps": STEPS, "cron": "0 2 * * *", "queue": "low", **fields}
    return control.create("figures", entry, by="ann")


def due(schedule):
    """Have its last moment be the next one; return it."""
    moment = cron.previous_before(rule_of(schedule), clock.read())
    Schedule.objects.filter(name=schedule.name).update(next_at=moment)
    return moment


def step_of(job):
    return job.params["value"] if job.params["value"] in STEPS else "orders"


def by_step():
    return {step_of(job): job for job in JobStatus.objects.all()}


def parents(job):
    return set(JobDependency.objects.filter(job=job).values_list("parent_id", flat=True))


def test_a_moment_makes_every_step_and_one_run():
    run = making.make(figures(), MOMENT, kind=ScheduleRun.Kind.TICK)

    jobs = by_step()
    assert (run.outcome, step_of(run.job)) == ("dispatched", "orders")
    assert {(job.schedule, job.logical_time) for job in jobs.values()} == {("figures", MOMENT)}
    assert jobs["orders"].params == {"value": "2026-11-01"}
    assert {step: job.queue for step, job in jobs.items()} == {
        "sum": "low",
        "orders": "low",
        "stock": "high",
    }
    assert (jobs["sum"].status, jobs["sum"].held_by) == ("waiting", "dependency")
    assert parents(jobs["sum"]) == {jobs["orders"].id, jobs["stock"].id}
    assert parents(jobs["orders"]) == parents(jobs["stock"]) == set()


def test_of_a_workflow_that_has_a_bad_step_no_step_is_made():
    schedule = figures()
    schedule.steps["stock"]["params"] = {"valeu": 1}

    run = making.make(schedule, MOMENT, kind=ScheduleRun.Kind.TICK)

    assert (run.outcome, run.job) == ("refused", None)
    assert "valeu" in run.reason
    assert JobStatus.objects.count() == 0


def test_jitter_holds_the_first_steps_alone():
    schedule = figures()
    later = clock.read() + timedelta(hours=1)

    made = requests.of_moment(schedule, MOMENT, run_at=later)

    assert [request.step for request in made][-1] == "sum"
    assert [request.run_at for request in made] == [later, later, None]


def test_a_moment_waits_for_the_whole_workflow_of_the_one_before():
    schedule = figures(overlap="queue_all")
    making.make(schedule, MOMENT, kind=ScheduleRun.Kind.TICK)
    before = set(JobStatus.objects.values_list("id", flat=True))
    due(schedule)

    tick.run("figures")

    jobs = {step_of(job): job for job in JobStatus.objects.exclude(id__in=before)}
    assert {job.status for job in jobs.values()} == {Status.WAITING}
    assert parents(jobs["orders"]) == parents(jobs["stock"]) == before
    assert parents(jobs["sum"]) == {jobs["orders"].id, jobs["stock"].id}


def test_a_living_workflow_is_an_overlap_until_its_last_step_has_ended():
    schedule = figures(overlap="skip", cron=None, every="1s")
    making.make(schedule, MOMENT, kind=ScheduleRun.Kind.TICK)
    ended = {"status": Status.COMPLETED, "finished_at": clock.read()}
    JobStatus.objects.exclude(params__value="sum").update(**ended)
    moment = due(schedule)

    tick.run("figures")

    run = ScheduleRun.objects.get(logical_time=moment)
    assert run.outcome == "skipped"
    assert "still lives" in run.reason


def test_a_run_of_now_makes_the_whole_workflow():
    figures()

    run = control.run_now("figures", by="ann")

    assert (run.kind, run.made_by) == ("manual", "ann")
    assert set(by_step()) == set(STEPS)
    assert {job.logical_time for job in by_step().values()} == {run.logical_time}


def test_a_run_of_now_of_a_workflow_takes_no_params():
    figures()

    with pytest.raises(InvalidParams, match="belong to its steps"):
        control.run_now("figures", by="ann", params={"value": "x"})

    assert ScheduleRun.objects.count() == JobStatus.objects.count() == 0


def test_the_secrets_of_its_steps_are_known():
    steps = {"one": {"job": "Secretive", "params": {"user": "ann", "password": "hunter22"}}}

    assert "hunter22" in requests.secrets(figures(steps=steps))


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_scheduled_workflow_runs_to_its_end(workers):
    figures()
    run = control.run_now("figures", by="ann")

    workers.start("high", "low")
    jobs = by_step()
    wait.until_status(jobs["sum"], Status.COMPLETED)

    jobs = by_step()
    assert {job.status for job in jobs.values()} == {Status.COMPLETED}
    assert jobs["sum"].started_at > max(jobs[step].finished_at for step in ("orders", "stock"))
    assert run.job_id == jobs["orders"].id
