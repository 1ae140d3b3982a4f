from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobStatus, Schedule, ScheduleChange, ScheduleRun
from jobs.schedules import control, sync
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of

pytestmark = pytest.mark.django_db

UNREADABLE = ["x", [1], 5, {"a": 1}]
NIGHTLY = {"job": "Echo", "cron": "0 2 * * *", "params": {"value": "x"}, "queue": "low"}
HOURLY = {**NIGHTLY, "cron": "0 * * * *"}


@pytest.fixture
def declare(settings):
    """Return a function that reads these schedules from the settings, as a start does."""

    def read(**schedules):
        settings.JOB_SCHEDULES = {name.replace("_", "-"): one for name, one in schedules.items()}
        sync.sync()

    return read


def changes(**fields):
    found = ScheduleChange.objects.filter(**fields).order_by("id")
    return [(change.schedule_name, change.verb, change.by) for change in found]


def miss():
    """Have every schedule wait since its last moment, as if no scheduler had been there."""
    for row in Schedule.objects.all():
        missed = cron.previous_before(rule_of(row), timezone.now())
        Schedule.objects.filter(name=row.name).update(next_at=missed)
    return missed


def test_schedules_become_rows(declare):
    declare(nightly={**NIGHTLY, "timezone": "Asia/Tokyo"})

    row = Schedule.objects.get()
    assert (row.name, row.job_class, row.queue, row.params) == (
        "nightly",
        "Echo",
        "low",
        {"value": "x"},
    )
    assert row.source == "settings"
    assert row.next_at > timezone.now()
    assert row.next_at.hour == 17


def test_every_key_has_its_column(declare):
    declare(
        nightly={
            **NIGHTLY,
            "cron": ["0 2 * * *", "30 14 * * sat"],
            "start_at": "2026-12-01T00:00Z",
            "end_at": "2036-12-01T00:00Z",
            "overlap": "queue",
            "catch_up": "1h",
            "jitter": "30s",
        }
    )

    row = Schedule.objects.get()
    assert row.crons == ["0 2 * * *", "30 14 * * sat"]
    assert (row.start_at.year, row.end_at.year) == (2026, 2036)
    assert (row.overlap, row.catch_up, row.jitter) == ("queue", "1h", timedelta(seconds=30))


def test_a_restart_doubles_nothing_and_keeps_a_missed_tick(declare):
    declare(nightly=NIGHTLY)
    missed = miss()

    declare(nightly=NIGHTLY)

    assert Schedule.objects.get().next_at == missed
    assert changes() == [("nightly", "created", "settings")]


def test_a_schedule_taken_out_of_the_settings_disappears_but_its_runs_stay(declare):
    declare(nightly=NIGHTLY, hourly=HOURLY)
    ScheduleRun.objects.create(
        schedule_name="hourly", logical_time=timezone.now(), created_at=timezone.now()
    )

    declare(nightly=NIGHTLY)

    assert list(Schedule.objects.values_list("name", flat=True)) == ["nightly"]
    assert ScheduleRun.objects.count() == 1
    assert changes(verb="deleted") == [("hourly", "deleted", "settings")]
    what = ScheduleChange.objects.get(verb="deleted").what
    assert (what["job"], what["cron"]) == (["Echo", None], [["0 * * * *"], None])


def test_the_log_names_what_the_settings_change(declare, caplog):
    declare(stays=NIGHTLY, changes=NIGHTLY, goes=NIGHTLY)
    caplog.clear()
    caplog.set_level("INFO")

    declare(stays=NIGHTLY, changes=HOURLY, comes=NIGHTLY)

    assert (
        "Schedules: 3 registered, 1 new (comes), 1 changed (changes), 1 removed (goes)"
        in caplog.text
    )


def test_the_log_names_some_of_very_many(declare, caplog):
    caplog.set_level("INFO")

    declare(**{f"s{number:02}": NIGHTLY for number in range(12)})

    named = ", ".join(f"s{number:02}" for number in range(10))
    assert f"12 new ({named}, ...), 0 changed, 0 removed" in caplog.text


def test_a_changed_rule_starts_from_now(declare):
    declare(nightly=NIGHTLY)

    declare(nightly={**NIGHTLY, "cron": "0 3 * * *"})

    row = Schedule.objects.get()
    assert row.next_at > timezone.now()
    assert row.next_at.hour == 3
    change = ScheduleChange.objects.get(verb="changed")
    assert (change.by, change.what) == ("settings", {"cron": [["0 2 * * *"], ["0 3 * * *"]]})


def test_what_was_due_under_the_old_rule_is_made_before_the_new_one_holds(declare):
    declare(nightly=NIGHTLY)
    missed = miss()

    declare(nightly={**NIGHTLY, "cron": "0 3 * * *", "params": {"value": "new"}})

    run = ScheduleRun.objects.get()
    assert (run.logical_time, run.outcome) == (missed, "dispatched")
    assert JobStatus.objects.get().params == {"value": "new"}
    assert Schedule.objects.get().next_at.hour == 3


def test_a_settled_job_that_can_no_longer_be_made_stops_no_other(declare):
    declare(nightly=NIGHTLY, hourly=HOURLY)
    miss()

    declare(nightly={**NIGHTLY, "cron": "0 3 * * *", "job": "Nobody"}, hourly=HOURLY)

    assert ScheduleRun.objects.get().outcome == "refused"
    assert Schedule.objects.get(name="nightly").next_at > timezone.now()


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"value": "y"}},
        {"queue": "high"},
        {"overlap": "allow"},
        {"catch_up": "2h"},
        {"jitter": "5s"},
    ],
)
def test_changed_params_and_policies_keep_a_missed_tick(declare, change):
    declare(nightly=NIGHTLY)
    missed = miss()

    declare(nightly={**NIGHTLY, **change})

    assert Schedule.objects.get().next_at == missed
    assert ScheduleRun.objects.count() == 0
    assert [*ScheduleChange.objects.get(verb="changed").what] == [*change]


def test_a_disabled_schedule_has_no_next_tick_and_misses_none(declare):
    declare(nightly={**NIGHTLY, "enabled": False})
    assert Schedule.objects.get().next_at is None

    declare(nightly=NIGHTLY)

    assert Schedule.objects.get().next_at > timezone.now()


def test_a_schedule_that_is_switched_off_makes_nothing_any_more(declare):
    declare(nightly=NIGHTLY)
    miss()

    declare(nightly={**NIGHTLY, "enabled": False, "cron": "0 3 * * *"})

    assert Schedule.objects.get().next_at is None
    assert ScheduleRun.objects.count() == 0


def test_a_pause_survives_whatever_the_settings_say(declare):
    declare(nightly=NIGHTLY)
    control.pause("nightly", by="ann", note="wait for the vendor")

    declare(nightly={**NIGHTLY, "cron": "0 3 * * *"})

    row = Schedule.objects.get()
    assert (row.is_paused, row.paused_by, row.pause_note) == (True, "ann", "wait for the vendor")


def test_an_unreadable_entry_is_left_out_and_logged(declare, caplog):
    declare(nightly=NIGHTLY, broken={**NIGHTLY, "cron": "@daily"})

    assert list(Schedule.objects.values_list("name", flat=True)) == ["nightly"]
    assert "@daily" in caplog.text


def test_an_entry_that_became_unreadable_leaves_its_row_as_it_was(declare, caplog):
    declare(nightly=NIGHTLY)
    missed = miss()

    declare(nightly={**NIGHTLY, "cron": "@daily"})

    row = Schedule.objects.get()
    assert (row.crons, row.next_at) == (["0 2 * * *"], missed)
    assert "It is left as it was" in caplog.text


@pytest.mark.parametrize("steps", UNREADABLE)
@pytest.mark.parametrize("is_kept", [True, False])
def test_steps_that_somebody_made_unreadable_are_put_right_or_deleted(declare, steps, is_kept):
    declare(nightly=NIGHTLY, other=NIGHTLY)
    Schedule.objects.filter(name="nightly").update(job_class="", steps=steps)

    declare(other=NIGHTLY, **({"nightly": NIGHTLY} if is_kept else {}))

    found = Schedule.objects.filter(name="nightly").values_list("job_class", "steps")
    assert list(found) == ([("Echo", None)] if is_kept else [])


def test_schedules_made_in_the_admin_are_left_alone(declare):
    control.create("weekly", {**NIGHTLY, "cron": "0 2 * * sun"}, by="ann")

    declare(nightly=NIGHTLY)
    declare()

    assert list(Schedule.objects.values_list("name", "source")) == [("weekly", "admin")]


def test_a_name_that_the_settings_claim_is_theirs(declare, caplog):
    control.create("nightly", {**NIGHTLY, "cron": "0 5 * * *"}, by="ann")

    declare(nightly=NIGHTLY)

    row = Schedule.objects.get()
    assert (row.source, row.crons) == ("settings", ["0 2 * * *"])
    what = ScheduleChange.objects.get(verb="changed").what
    assert what == {"source": ["admin", "settings"], "cron": [["0 5 * * *"], ["0 2 * * *"]]}
    assert "made in the admin" in caplog.text


def test_a_claimed_name_is_recorded_where_nothing_else_differs(declare):
    control.create("nightly", NIGHTLY, by="ann")
    missed = miss()

    declare(nightly=NIGHTLY)

    assert Schedule.objects.get().next_at == missed
    assert ScheduleChange.objects.get(verb="changed").what == {"source": ["admin", "settings"]}


def test_the_history_shows_no_redacted_param(declare):
    secretive = {
        "job": "Secretive",
        "cron": "0 2 * * *",
        "params": {"user": "ann", "password": "hunter22"},
    }
    declare(nightly=secretive, steps={"cron": "0 2 * * *", "steps": {"one": {**secretive}}})
    steps = {"one": {"job": "Secretive", "params": secretive["params"]}}
    declare(nightly=secretive, steps={"cron": "0 2 * * *", "steps": steps})

    declare(
        nightly={**secretive, "params": {"user": "ann", "password": "hunter33"}},
        steps={"cron": "0 2 * * *", "steps": {"one": {"job": "Echo"}}},
    )

    whats = [change.what for change in ScheduleChange.objects.all()]
    assert "hunter" not in str(whats)
    assert ScheduleChange.objects.filter(schedule_name="nightly", verb="changed").count() == 1


def test_many_schedules_are_read_in_few_statements(declare, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        declare(**{f"n{number}": NIGHTLY for number in range(300)})

    with django_assert_max_num_queries(8):
        declare(**{f"n{number}": NIGHTLY for number in range(300)})

    assert Schedule.objects.count() == 300
