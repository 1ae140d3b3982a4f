from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.broker.seldom import Seldom
from jobs.models import JobStatus, Schedule, ScheduleRun
from jobs.schedules import tick, ticking
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
