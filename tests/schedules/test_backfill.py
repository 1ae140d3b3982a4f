from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.base import workflow
from jobs.errors import InvalidBackfill, UnknownBackfill, UnknownSchedule, WrongBackfillStatus
from jobs.lifecycle import control
from jobs.maintenance import prune
from jobs.models import Backfill, JobStatus, Schedule, ScheduleChange, ScheduleRun
from jobs.schedules import backfill, backfilling
from jobs.schedules.backfill import Only, Wanted
from jobs.schedules.moments import walk
from jobs.schedules.moments.cron import Rule
from jobs.schedules.standings import Standing
from jobs.statuses import Status
from jobs.workflows.build import Origin
from tests.jobs import Echo
from tests.make import make_job

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


@pytest.fixture
def daily():
    """A schedule of each night at two, since long."""
    return make_schedule()


def make_schedule(name="daily", **fields):
    values = {
        "job_class": "Echo",
        "crons": ["0 2 * * *"],
        "params": {"value": "{logical_date}"},
        "queue": "low",
        "synced_at": timezone.now(),
        "next_at": timezone.now() + DAY,
    }
    return Schedule.objects.create(name=name, **(values | fields))


def wanted(days=7, **fields):
    values = {"schedule_name": "daily", "from_at": FIRST, "to_at": FIRST + (days - 1) * DAY}
    return Wanted(**(values | fields))


def started(days=7, **fields):
    return backfill.start(wanted(days, **fields), by="ann")


def make_run(moment, *, status=None, outcome="dispatched", job=True, **fields):
    """Insert the run of a moment as a tick made it, and its job."""
    made = (
        make_job(status=status, schedule="daily", logical_time=moment)
        if status is not None and job
        else None
    )
    return ScheduleRun.objects.create(
        schedule_name="daily",
        logical_time=moment,
        outcome=outcome,
        job=made,
        created_at=timezone.now(),
        **fields,
    )


def end(jobs, status=Status.COMPLETED):
    for job in jobs:
        JobStatus.objects.filter(pk=job.pk).update(status=status, finished_at=timezone.now())


def jobs():
    return list(JobStatus.objects.order_by("logical_time"))


def living():
    return list(JobStatus.objects.filter(finished_at=None).order_by("logical_time"))


def made():
    return [job.logical_time for job in jobs()]


def days(*numbers):
    return [FIRST + number * DAY for number in numbers]


def advance_to_the_end(wish, status=Status.COMPLETED):
    """Advance, and end what lives, until nothing is left to do."""
    for _ in range(100):
        backfilling.advance(wish.pk)
        wish.refresh_from_db()
        if wish.status != Backfill.Status.RUNNING:
            return
        end(living(), status)
    raise AssertionError(f"it never ends: {wish.status} at {wish.cursor}")


# --- Advance ---


def test_the_first_moments_are_made_as_many_as_may_live_at_once(daily):
    wish = started(max_active=2)

    backfilling.advance(wish.pk)

    assert made() == days(0, 1)
    run = ScheduleRun.objects.earliest("logical_time")
    assert (run.kind, run.made_by, run.backfill, run.outcome) == (
        *("backfill", "ann", wish, "dispatched"),
    )
    assert run.job == jobs()[0]
    assert [job.params for job in jobs()] == [{"value": "2026-11-01"}, {"value": "2026-11-02"}]
    assert {job.queue for job in jobs()} == {"low"}
    wish.refresh_from_db()
    assert (wish.made, wish.passed, wish.cursor) == (2, 0, FIRST + DAY)


def test_nothing_more_is_made_while_they_live(daily):
    wish = started(max_active=2)
    backfilling.advance(wish.pk)

    backfilling.advance(wish.pk)

    assert made() == days(0, 1)


def test_each_end_makes_room_for_one_more(daily):
    wish = started(max_active=2)
    backfilling.advance(wish.pk)
    end(jobs()[:1])

    backfilling.advance(wish.pk)

    assert made() == days(0, 1, 2)


def test_it_is_completed_when_its_last_job_has_ended(daily):
    wish = started(2)
    backfilling.advance(wish.pk)
    end(jobs()[:1])
    backfilling.advance(wish.pk)
    wish.refresh_from_db()
    assert wish.status == Backfill.Status.RUNNING

    end(jobs())
    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert wish.status == Backfill.Status.COMPLETED
    assert wish.finished_at is not None
    assert backfilling.running() == []


def test_a_failed_job_ends_its_moment_as_well(daily):
    wish = started(3)

    advance_to_the_end(wish, Status.FAILED)

    assert made() == days(0, 1, 2)
    assert (wish.total, wish.made, wish.passed) == (3, 3, 0)


def test_the_newest_may_be_made_first(daily):
    wish = started(4, newest_first=True, max_active=1)
    order = []

    for _ in range(4):
        backfilling.advance(wish.pk)
        order += [job.logical_time for job in living()]
        end(living())

    assert order == days(3, 2, 1, 0)


def test_jobs_of_the_schedules_own_moments_take_no_room(daily):
    make_run(FIRST + 20 * DAY, status=Status.STARTED)
    wish = started(max_active=2)

    backfilling.advance(wish.pk)

    assert made() == [*days(0, 1), FIRST + 20 * DAY]


def test_a_stopped_one_makes_nothing_and_a_continued_one_goes_on_behind_its_last_run(daily):
    wish = started(4, max_active=1)
    backfilling.advance(wish.pk)
    backfill.stop(wish.pk, by="bob")
    end(living())
    backfilling.advance(wish.pk)
    assert made() == days(0)

    backfill.resume(wish.pk, by="bob")
    advance_to_the_end(wish)

    assert made() == days(0, 1, 2, 3)


def test_one_without_anything_to_make_is_completed_at_once(daily):
    for moment in days(0, 1, 2):
        make_run(moment, status=Status.COMPLETED)
    wish = started(3)

    backfilling.advance(wish.pk)
    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert (wish.status, wish.made, wish.passed) == ("completed", 0, 3)


def test_it_goes_through_more_moments_than_it_looks_at_once(daily, monkeypatch):
    monkeypatch.setattr(backfilling, "LOOKED_AT_ONCE", 3)
    for moment in days(*range(10)):
        make_run(moment, status=Status.COMPLETED)
    wish = started(12, max_active=5)

    backfilling.advance(wish.pk)

    assert made()[10:] == days(10, 11)
    wish.refresh_from_db()
    assert (wish.made, wish.passed) == (2, 10)


def test_one_whose_schedule_is_gone_stops_and_says_why(daily):
    wish = started()
    daily.delete()

    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert (wish.status, wish.reason) == ("stopped", "its schedule is gone")


def test_one_of_a_job_class_that_is_unknown_here_is_left_to_others(daily):
    wish = started(3)
    Schedule.objects.update(job_class="Nobody")

    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert (wish.status, wish.made, wish.looked_at) == ("running", 0, None)
    assert not ScheduleRun.objects.exists()
    Schedule.objects.update(job_class="Echo")
    advance_to_the_end(wish)
    assert made() == days(0, 1, 2)


def test_one_of_a_job_class_that_nobody_knows_stops_and_refuses_no_moment(daily):
    wish = started(3)
    Schedule.objects.update(job_class="", steps={"a": {"job": "Echo"}, "b": {"job": "Nobody"}})
    Backfill.objects.update(created_at=timezone.now() - timedelta(seconds=61))

    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert (wish.status, wish.reason) == ("stopped", "no scheduler knows its job class Nobody")
    assert not ScheduleRun.objects.exists()
    backfill.resume(wish.pk, by="ann")
    backfilling.advance(wish.pk)
    wish.refresh_from_db()
    assert wish.status == "running", "others have no time to take it up"


def test_the_moments_are_those_of_the_rule_as_it_is_now(daily):
    wish = started(3, max_active=1)
    backfilling.advance(wish.pk)
    end(living())
    Schedule.objects.update(crons=["0 3 * * *"])

    advance_to_the_end(wish)

    assert [moment.hour for moment in made()] == [2, 3, 3]


def test_a_moment_whose_job_cannot_be_made_is_refused_and_the_next_is_made(daily):
    Schedule.objects.update(params={"valeu": "x"})
    wish = started(3, max_active=1)

    advance_to_the_end(wish)

    runs = ScheduleRun.objects.order_by("logical_time")
    assert [run.outcome for run in runs] == ["refused"] * 3
    assert all("valeu" in run.reason for run in runs)
    assert wish.made == 3


def test_what_nobody_foresaw_stops_it_and_keeps_no_secret(daily):
    Schedule.objects.update(job_class="Secretive", params={"user": "ann", "password": "hunter22"})
    wish = started()

    backfilling.fail(wish.pk, RuntimeError("hunter22 is not what I foresaw"))

    wish.refresh_from_db()
    assert wish.status == "stopped"
    assert wish.reason.startswith("RuntimeError")
    assert "hunter22" not in wish.reason


# --- Only ---


def test_missing_are_moments_without_a_run_and_those_whose_run_made_no_job(daily):
    make_run(FIRST, outcome="skipped", reason="paused by bob")
    make_run(FIRST + DAY, status=Status.FAILED)
    make_run(FIRST + 2 * DAY, outcome="refused", reason="no such queue")
    make_run(FIRST + 3 * DAY, status=Status.STARTED)
    wish = started(6, max_active=10)

    advance_to_the_end(wish)

    assert made() == days(0, 1, 2, 3, 4, 5)
    assert (wish.made, wish.passed) == (4, 2)
    skipped, _, refused, *_ = ScheduleRun.objects.order_by("logical_time")
    assert (skipped.outcome, skipped.kind) == ("dispatched", "backfill")
    assert skipped.reason == "was skipped before: paused by bob"
    assert refused.reason == "was refused before: no such queue"
    assert ScheduleRun.objects.count() == 6


def test_failed_ones_are_retried_and_not_made_a_second_time(daily):
    failed = make_run(FIRST, status=Status.FAILED)
    cancelled = make_run(FIRST + DAY, status=Status.CANCELLED)
    make_run(FIRST + 2 * DAY, status=Status.COMPLETED)
    wish = started(4, only=Only.FAILED, max_active=10)

    backfilling.advance(wish.pk)

    assert living() == [failed.job, cancelled.job]
    assert made() == days(0, 1, 2)
    failed.refresh_from_db()
    assert (failed.kind, failed.backfill, failed.made_by) == ("backfill", wish, "ann")
    advance_to_the_end(wish)
    assert (wish.made, wish.passed) == (2, 2)


def test_a_retried_job_takes_room_as_a_new_one(daily):
    for moment in days(0, 1, 2):
        make_run(moment, status=Status.FAILED)
    wish = started(3, only=Only.FAILED, max_active=1)

    backfilling.advance(wish.pk)
    backfilling.advance(wish.pk)

    assert [job.logical_time for job in living()] == days(0)


def test_all_are_the_missing_the_failed_and_the_completed_which_run_again(daily):
    completed = make_run(FIRST, status=Status.COMPLETED)
    failed = make_run(FIRST + DAY, status=Status.FAILED)
    make_run(FIRST + 2 * DAY, status=Status.STARTED)
    wish = started(4, only=Only.ALL, max_active=10)

    backfilling.advance(wish.pk)

    assert {completed.job, failed.job} <= set(living())
    assert made() == days(0, 1, 2, 3)
    wish.refresh_from_db()
    assert (wish.made, wish.passed) == (3, 1)


@pytest.mark.parametrize(
    ("kept", "only", "is_made"),
    [
        ("completed", Only.MISSING, False),
        ("failed", Only.MISSING, False),
        ("completed", Only.FAILED, False),
        ("failed", Only.FAILED, True),
        ("cancelled", Only.FAILED, True),
        ("completed", Only.ALL, True),
        ("", Only.MISSING, False),  # pruned before runs kept the status
    ],
)
def test_a_pruned_job_s_moment_is_made_anew_by_what_its_run_kept(daily, kept, only, is_made):
    make_run(FIRST, kept_status=kept)
    wish = started(1, only=only)

    backfilling.advance(wish.pk)

    assert made() == (days(0) if is_made else [])
    assert ScheduleRun.objects.count() == 1


def test_a_failed_job_that_was_pruned_is_made_anew(daily):
    make_run(FIRST, status=Status.FAILED)
    make_run(FIRST + DAY, status=Status.COMPLETED)
    JobStatus.objects.update(finished_at=timezone.now() - timedelta(days=100))
    for lane in prune.lanes(prune.Selection()):
        list(prune.batches(lane))
    assert JobStatus.objects.count() == 0
    wish = started(2, only=Only.FAILED)

    advance_to_the_end(wish)

    assert made() == days(0)
    assert (wish.made, wish.passed) == (1, 1)


def test_a_job_that_a_person_retried_meanwhile_is_left_to_them(daily, monkeypatch):
    run = make_run(FIRST, status=Status.FAILED)
    wish = started(1, only=Only.FAILED)
    looked = backfilling.standings.of

    def look_and_be_late(*arguments):
        found = looked(*arguments)
        monkeypatch.setattr(backfilling.standings, "of", looked)
        control.retry([run.job_id], by="bob")
        return found

    monkeypatch.setattr(backfilling.standings, "of", look_and_be_late)
    backfilling.advance(wish.pk)
    backfilling.advance(wish.pk)

    wish.refresh_from_db()
    assert (wish.made, wish.passed) == (0, 1)
    assert JobStatus.objects.get().max_attempts == 5


# --- Workflows ---


def test_a_transaction_makes_so_many_jobs_of_large_workflows(daily, monkeypatch):
    monkeypatch.setattr(backfilling, "MAX_JOBS", 5)
    steps = {f"s{number}": {"job": "Echo"} for number in range(4)}
    Schedule.objects.update(job_class="", params={}, steps=steps)
    row = started(days=5, max_active=5)

    assert backfilling._step(row.pk)

    assert JobStatus.objects.count() == 8
    backfilling.advance(row.pk)
    row.refresh_from_db()
    assert (row.made, JobStatus.objects.count()) == (5, 20)


def test_a_moment_of_a_workflow_becomes_all_its_jobs_and_takes_the_room_of_one_run(daily):
    steps = {"load": {"job": "Echo"}, "sum": {"job": "Echo", "after": ["load"]}}
    Schedule.objects.update(job_class="", params={}, steps=steps)
    wish = started(3, max_active=2)

    backfilling.advance(wish.pk)

    assert made() == [*days(0, 0), *days(1, 1)]
    end(living()[:1])
    backfilling.advance(wish.pk)
    assert len(jobs()) == 4
    end(living()[:1])
    backfilling.advance(wish.pk)
    assert made()[4:] == days(2, 2)


def make_workflow(moment, *, status):
    """Insert the run of a moment whose two jobs, one behind the other, have ended so."""
    loaded, summed = workflow(
        load=Echo.step(value="load"), sum=Echo.step(value="sum").after("load")
    ).dispatch(Origin(schedule="daily", logical_time=moment))
    end([loaded, summed], status)
    make_run(moment)
    return loaded, summed


@pytest.mark.parametrize(
    ("status", "only"), [("completed", Only.ALL), ("failed", Only.FAILED), ("failed", Only.ALL)]
)
def test_the_jobs_of_a_workflow_are_repeated_in_their_order_as_one_run(daily, status, only):
    loaded, summed = make_workflow(FIRST, status=status)
    make_workflow(FIRST + DAY, status=status)
    wish = started(2, only=only, max_active=1)

    backfilling.advance(wish.pk)
    backfilling.advance(wish.pk)

    loaded.refresh_from_db()
    summed.refresh_from_db()
    assert (loaded.status, summed.status, summed.held_by) == ("queued", "waiting", "dependency")
    assert len(living()) == 2
    end(living())
    backfilling.advance(wish.pk)
    assert {job.logical_time for job in living()} == {FIRST + DAY}
    advance_to_the_end(wish)
    assert (wish.made, JobStatus.objects.count()) == (2, 4)


def test_of_a_workflow_that_failed_only_the_failed_branch_is_repeated(daily):
    loaded, summed = make_workflow(FIRST, status=Status.COMPLETED)
    end([summed], Status.FAILED)
    wish = started(1, only=Only.FAILED)

    backfilling.advance(wish.pk)

    assert living() == [summed]
    loaded.refresh_from_db()
    assert loaded.status == "completed"


def test_a_workflow_of_which_the_failed_job_is_pruned_is_done_as_far_as_it_is_there(daily):
    loaded, summed = make_workflow(FIRST, status=Status.COMPLETED)
    loaded.delete()
    ScheduleRun.objects.update(kept_status="failed")
    wish = started(1, only=Only.FAILED)

    advance_to_the_end(wish)

    assert (wish.status, wish.made, wish.passed) == ("completed", 0, 1)
    summed.refresh_from_db()
    assert summed.attempt == 0


# --- Start, stop, resume ---


def test_a_start_is_remembered_with_who_and_what(daily):
    wish = started(7, only=Only.ALL, newest_first=True, max_active=3)

    assert (wish.schedule_name, wish.total, wish.made_by) == ("daily", 7, "ann")
    assert (wish.only, wish.newest_first, wish.max_active) == ("all", True, 3)
    assert (wish.status, wish.cursor, wish.looked_at) == ("running", None, None)
    change = ScheduleChange.objects.get()
    assert (change.schedule_name, change.by, change.verb) == ("daily", "ann", "backfilled")
    assert f"backfill {wish.pk}" in change.note


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"to_at": FIRST - DAY}, "ends before it begins"),
        ({"from_at": FIRST + timedelta(hours=1), "to_at": FIRST + timedelta(hours=2)}, "no moment"),
        ({"to_at": datetime(2036, 1, 1, tzinfo=UTC)}, "is yet to come"),
        ({"max_active": 0}, "max_active"),
        ({"max_active": 1_001}, "max_active"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(daily, fields, words):
    with pytest.raises(InvalidBackfill, match=words):
        started(**fields)
    with pytest.raises(InvalidBackfill, match=words):
        backfill.plan(wanted(**fields))

    assert Backfill.objects.count() == 0


def test_too_many_moments_are_refused(daily, monkeypatch):
    monkeypatch.setattr(backfill, "MAX_MOMENTS", 5)

    with pytest.raises(InvalidBackfill, match="more than 5 moments"):
        started(6)

    assert started(5).total == 5


def test_a_schedule_that_is_not_there_is_refused():
    with pytest.raises(UnknownSchedule, match="daily"):
        started()


def test_a_second_one_of_the_same_schedule_is_refused_while_the_first_runs(daily):
    first = started()

    with pytest.raises(WrongBackfillStatus, match=f"Backfill {first.pk} of daily is running"):
        started()

    make_schedule("other")
    started(schedule_name="other")
    backfill.stop(first.pk, by="ann")
    second = started()
    with pytest.raises(WrongBackfillStatus, match=f"Backfill {second.pk} of daily is running"):
        backfill.resume(first.pk, by="ann")


def test_only_a_running_one_is_stopped_and_only_a_stopped_one_continued(daily):
    wish = started(1)
    with pytest.raises(WrongBackfillStatus, match="is running, not stopped"):
        backfill.resume(wish.pk, by="ann")

    stopped = backfill.stop(wish.pk, by="bob")

    assert (stopped.status, stopped.reason) == ("stopped", "stopped by bob")
    with pytest.raises(WrongBackfillStatus, match="is stopped, not running"):
        backfill.stop(wish.pk, by="ann")
    assert backfill.resume(wish.pk, by="ann").reason == ""
    advance_to_the_end(wish)
    for verb in (backfill.stop, backfill.resume):
        with pytest.raises(WrongBackfillStatus, match="is completed"):
            verb(wish.pk, by="ann")
        with pytest.raises(UnknownBackfill):
            verb(wish.pk + 1, by="ann")


# --- Plan ---


def test_a_plan_counts_and_names_the_moments_of_each_standing_and_makes_nothing(daily):
    make_run(FIRST, outcome="skipped")
    make_run(FIRST + DAY, status=Status.FAILED)
    make_run(FIRST + 2 * DAY, status=Status.COMPLETED)
    make_run(FIRST + 3 * DAY, status=Status.RETRYING)

    found = backfill.plan(wanted(10), shown=2)

    assert found.total == 10
    assert found.to_make == 7
    assert found.counts == {"missing": 7, "failed": 1, "completed": 1, "living": 1}
    assert found.first[Standing.MISSING] == days(0, 4)
    assert found.first[Standing.LIVING] == days(3)
    assert backfill.plan(wanted(10, only=Only.FAILED)).to_make == 1
    assert backfill.plan(wanted(10, only=Only.ALL)).to_make == 9
    assert backfill.plan(wanted(10, newest_first=True)).first[Standing.MISSING][0] == days(9)[0]
    assert Backfill.objects.count() == 0
    assert JobStatus.objects.count() == 3


# --- Walk ---


@pytest.mark.parametrize(
    "rule",
    [
        Rule(crons=("*/7 * * * *",), timezone="America/New_York"),
        Rule(crons=("0 2 * * *", "30 14 * * mon"), timezone="Australia/Lord_Howe"),
        Rule(every=timedelta(hours=5)),
        Rule(crons=("* 3 1 * *",)),
    ],
    ids=str,
)
def test_newest_first_has_the_same_moments_the_other_way_round(rule):
    since, until = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 20, 2, 6, tzinfo=UTC)

    forth = list(walk.moments(rule, since=since, until=until))
    back = list(walk.newest_first(rule, since=since, until=until))

    assert forth
    assert back == forth[::-1]


def test_both_ends_are_included():
    rule, end_of_it = Rule(every=timedelta(hours=1)), FIRST + timedelta(hours=2)

    assert len(list(walk.moments(rule, since=FIRST, until=end_of_it))) == 3
    assert len(list(walk.newest_first(rule, since=FIRST, until=end_of_it))) == 3
    assert list(walk.newest_first(rule, since=FIRST, until=FIRST)) == [FIRST]
