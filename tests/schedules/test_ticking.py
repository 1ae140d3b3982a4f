from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.broker.seldom import SAY_SECONDS, Seldom
from jobs.dispatch import bonds
from jobs.models import JobStatus, Schedule, ScheduleRun
from jobs.schedules import deeds, overlap, tick, ticking
from jobs.statuses import Status
from tests import others
from tests.make import make_job
from tests.schedules.breaking import BreakAtDispatch, CheckSlowly

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


def schedule(name, **fields):
    values = {
        "job_class": "Echo",
        "every": timedelta(hours=1),
        "start_at": timezone.now().replace(microsecond=0) - 2 * SECOND,
        "overlap": "allow",
        "synced_at": timezone.now(),
    } | fields
    return Schedule.objects.create(name=name, next_at=values["start_at"], **values)


def outcomes():
    return dict(ScheduleRun.objects.values_list("schedule_name", "outcome"))


def make_due():
    ticking.make_due(lambda: False)


def test_all_that_is_due_is_made():
    for number in range(230):
        schedule(f"s{number}")

    make_due()

    assert set(outcomes().values()) == {"dispatched"}
    assert (JobStatus.objects.count(), tick.due()) == (230, [])


def test_one_that_nobody_foresaw_spoils_its_own_moment_alone(redis):
    for number in range(120):
        schedule(f"s{number}")
    schedule("a-bad-one", job_class=BreakAtDispatch.spec.name, params={"secret": "x"})

    make_due()

    found = outcomes()
    assert found.pop("a-bad-one") == "refused"
    assert "RuntimeError" in ScheduleRun.objects.get(schedule_name="a-bad-one").reason
    assert set(found.values()) == {"dispatched"}
    assert (len(found), tick.due()) == (120, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": None, "crons": ["no cron"]},
        {"every": None, "crons": ["* * * * *"], "timezone": "Mars/Phobos"},
        {"catch_up": "soon", "start_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_one_that_somebody_made_unreadable_is_put_off_and_spoils_no_other(wrong):
    for number in range(3):
        schedule(f"s{number}")
    schedule("a-bad-one", **wrong)
    schedule("z")

    make_due()

    found = outcomes()
    assert found.pop("a-bad-one") == "refused"
    assert set(found.values()) == {"dispatched"}
    assert (len(found), tick.due()) == (4, [])
    bad = Schedule.objects.get(name="a-bad-one")
    assert SECOND < bad.next_at - timezone.now() <= timedelta(minutes=1)
    assert "Traceback" in ScheduleRun.objects.get(schedule_name="a-bad-one").reason


def test_a_stop_leaves_what_is_due_to_the_next():
    schedule("one")

    ticking.make_due(lambda: True)

    assert tick.due() == ["one"]


def test_slow_checks_of_params_are_not_taken_for_a_process_that_is_stopped(monkeypatch):
    monkeypatch.setattr(tick, "_HANGS_MILLISECONDS", 500)
    monkeypatch.setattr(tick, "_SILENCE_SECONDS", 0.1)
    for number in range(10):
        schedule(f"s{number}", job_class=CheckSlowly.spec.name)

    make_due()

    assert list(outcomes().values()) == ["dispatched"] * 10


def test_slow_checks_of_many_moments_are_not_taken_for_it_either(monkeypatch):
    monkeypatch.setattr(tick, "_HANGS_MILLISECONDS", 500)
    monkeypatch.setattr(tick, "_SILENCE_SECONDS", 0.1)
    since = timezone.now() - 10 * SECOND
    schedule("slow", job_class=CheckSlowly.spec.name, every=SECOND, start_at=since)

    make_due()

    assert ScheduleRun.objects.filter(outcome="dispatched").count() >= 10


def test_a_check_that_takes_too_long_stops_its_own_schedule_alone(monkeypatch, redis):
    monkeypatch.setattr(tick, "_HANGS_MILLISECONDS", 1_500)
    monkeypatch.setattr(deeds, "MAX_CHECK_SECONDS", 1.6)
    monkeypatch.setattr(CheckSlowly, "takes_seconds", 1.7)
    schedule("slow", job_class=CheckSlowly.spec.name)
    schedule("other")

    make_due()

    assert outcomes() == {"slow": "refused", "other": "dispatched"}
    assert "leave to the job what takes long" in ScheduleRun.objects.get(outcome="refused").reason


def wide(count):
    return {f"s{number}": {"job": "Echo"} for number in range(count)}


def test_a_transaction_makes_so_many_jobs_however_many_moments_of_large_workflows_are_due(
    monkeypatch,
):
    monkeypatch.setattr(tick, "MAX_JOBS", 10)
    since = timezone.now().replace(microsecond=0) - 6 * SECOND
    for name in ("one", "two"):
        schedule(name, job_class="", steps=wide(4), every=SECOND, start_at=since, end_at=since)
    schedule("six", job_class="", steps=wide(4), every=SECOND, start_at=since, catch_up="1h")

    tick.batch()

    assert JobStatus.objects.count() <= 12
    make_due()
    assert ScheduleRun.objects.filter(outcome="dispatched").count() >= 8
    assert JobStatus.objects.count() == 4 * ScheduleRun.objects.count()


@pytest.mark.parametrize("policy", ["queue_all", "cancel_running"])
def test_first_steps_that_would_wait_in_too_many_ways_are_refused_and_the_others_made(
    redis, policy
):
    start_at = timezone.now().replace(microsecond=0) - 2 * SECOND
    end_at = start_at + SECOND
    fields = {"steps": wide(101), "overlap": "queue", "every": SECOND}
    row = schedule("wide", job_class="", start_at=start_at, end_at=end_at, **fields)
    make_due()
    Schedule.objects.update(overlap=policy, end_at=None, next_at=end_at + SECOND)
    row.refresh_from_db()
    schedule("other")

    make_due()

    found = ScheduleRun.objects.filter(schedule_name="wide").order_by("logical_time")
    refused = found.filter(outcome="refused")
    assert refused
    assert {"put one step before all others" in run.reason for run in refused} == {True}
    assert not JobStatus.objects.filter(status="cancelled").exists()
    assert outcomes()["other"] == "dispatched"


def test_large_runs_that_queue_up_wait_for_the_newest_jobs_before_them(redis, monkeypatch):
    monkeypatch.setattr(overlap, "MAX_LIVING", 4)
    monkeypatch.setattr(bonds, "MAX_PARENTS", 4)
    steps = {"a": {"job": "Echo"}}
    steps |= {name: {"job": "Echo", "after": ["a"]} for name in ("b", "c", "d")}
    schedule("large", job_class="", steps=steps, overlap="queue_all", every=SECOND)

    make_due()

    runs = list(ScheduleRun.objects.order_by("logical_time"))
    assert {run.outcome for run in runs} == {"dispatched"}
    for before, run in pairwise(runs):
        waits_for = JobStatus.objects.filter(dependents__job=run.job)
        assert {job.logical_time for job in waits_for} == {before.logical_time}
        assert len(waits_for) == 4


def test_a_tick_that_is_the_victim_of_a_deadlock_with_a_backfill_is_repeated(redis):
    start_at = timezone.now().replace(microsecond=0) - 2 * SECOND
    schedule("s", every=SECOND, start_at=start_at, end_at=start_at + 2 * SECOND)
    insert = """
        INSERT INTO job_schedule_runs
            (schedule_name, logical_time, outcome, reason, kind, made_by, kept_status, created_at)
        VALUES ('s', %s, 'skipped', '', 'backfill', '', '', now())
    """
    with others.elsewhere() as cursor:
        cursor.execute(insert, [start_at + SECOND])
        ticks = others.at_once(make_due)
        others.until_blocked()
        cursor.execute(insert, [start_at])  # held by the tick, which waits for the other one
        cursor.execute("COMMIT")
        ticks.result(30)
        cursor.execute("BEGIN")

    kinds = list(ScheduleRun.objects.order_by("logical_time").values_list("kind", flat=True))
    assert kinds == ["backfill", "backfill", "tick"]
    assert tick.due() == []


def test_a_held_row_of_a_job_that_is_to_be_cancelled_holds_up_no_other(caplog, monkeypatch):
    monkeypatch.setattr(ticking, "_held", Seldom(ticking.logger, "held: %s"))
    living = make_job(schedule="cancels", logical_time=timezone.now(), status=Status.STARTED)
    ScheduleRun.objects.create(
        schedule_name="cancels",
        logical_time=living.logical_time,
        outcome="dispatched",
        job=living,
        created_at=timezone.now(),
    )
    schedule("cancels", overlap="cancel_running")
    schedule("other")
    with others.elsewhere() as cursor:
        cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [str(living.id)])
        make_due()

        assert "other" in outcomes()
        assert tick.due() == ["cancels"]
    assert "held: cancels (canceling statement due to lock timeout" in caplog.text

    make_due()

    living.refresh_from_db()
    assert living.cancel_requested_by == "schedule cancels"
    assert tick.due() == []
    assert JobStatus.objects.get(schedule="cancels", status="waiting").held_by == "dependency"


def test_what_another_process_is_at_is_left_to_it():
    schedule("held")
    schedule("free")
    with others.elsewhere() as cursor:
        cursor.execute("SELECT 1 FROM job_schedules WHERE name = 'held' FOR UPDATE")
        make_due()
        assert list(outcomes()) == ["free"]
        assert tick.seconds_to_next() == 0

    make_due()

    assert set(outcomes()) == {"held", "free"}


STRANGE = [
    {"job_class": "Nobody"},
    {"job_class": "", "steps": {"a": {"job": "Echo"}, "b": {"job": "Nobody", "after": ["a"]}}},
]
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("fields", STRANGE)
def test_a_job_class_that_is_unknown_here_is_left_to_others_and_holds_up_nobody(
    caplog, monkeypatch, fields
):
    monkeypatch.setattr(ticking, "_left", Seldom(ticking.logger, "left: %s"))
    for number in range(120):
        schedule(f"s{number}", **fields)
    schedule("other")

    make_due()
    make_due()

    assert outcomes() == {"other": "dispatched"}
    assert tick.due() == []
    assert tick.seconds_to_next() > 1, "it would look again at once"
    assert caplog.text.count("left: ") == 1
    assert "left: s0, s1, s10, s100, s101, s102, s103, s104, s105, s106 and 110 more" in caplog.text


def test_what_is_left_is_looked_up_and_told_once_a_minute_with_nothing_beside_the_names(
    caplog, monkeypatch
):
    now = [0.0]
    told = Seldom(ticking.logger, "left: %s", monotonic=lambda: now[0])
    monkeypatch.setattr(ticking, "_left", told)
    schedule("strange", job_class="Nobody")
    make_due()

    with CaptureQueriesContext(connection) as seldom:
        make_due()
    now[0] += SAY_SECONDS
    with CaptureQueriesContext(connection) as once_more:
        make_due()

    assert [record.getMessage() for record in caplog.records] == ["left: strange"] * 2
    assert len(seldom) == len(once_more) - 1


@pytest.mark.parametrize("fields", STRANGE)
@pytest.mark.parametrize("catch_up", ["none", "last", "1h"])
def test_a_job_class_that_nobody_knows_is_refused_after_a_while(fields, catch_up):
    start_at = timezone.now() - MINUTE - SECOND
    schedule("strange", start_at=start_at, catch_up=catch_up, **fields)

    make_due()

    run = ScheduleRun.objects.get()
    assert (run.outcome, run.logical_time) == ("refused", start_at)
    assert "No job class is named 'Nobody'" in run.reason
    assert Schedule.objects.get().next_at == start_at + timedelta(hours=1)


def test_moments_that_come_often_are_refused_each_after_its_while():
    start_at = timezone.now().replace(microsecond=0) - MINUTE - 5 * SECOND
    row = schedule("strange", job_class="Nobody", every=SECOND, start_at=start_at)

    make_due()

    runs = ScheduleRun.objects.order_by("logical_time")
    count = len(runs)
    assert count >= 5
    assert {run.outcome for run in runs} == {"refused"}
    assert [run.logical_time for run in runs] == [start_at + n * SECOND for n in range(count)]
    assert all(run.created_at - run.logical_time >= MINUTE for run in runs)
    row.refresh_from_db()
    assert row.next_at == start_at + count * SECOND


def test_a_moment_that_was_left_is_made_by_who_knows_its_class():
    schedule("strange", job_class="Nobody")
    make_due()
    Schedule.objects.update(job_class="Echo")

    make_due()

    assert outcomes() == {"strange": "dispatched"}


@pytest.mark.parametrize("steps", ["x", [1], {"a": 1}, {"a": {"job": 1}}, {}, {"a": [{"job": []}]}])
def test_steps_that_somebody_made_unreadable_hold_up_nobody(steps):
    schedule("strange", job_class="", steps=steps)
    schedule("other")

    make_due()

    found = outcomes()
    assert found.pop("other") == "dispatched"
    assert set(found.values()) <= {"refused"}
