from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Schedule, ScheduleRun
from jobs.schedules import sync

pytestmark = pytest.mark.django_db

NIGHTLY = {"job": "Echo", "cron": "0 2 * * *", "params": {"value": "x"}, "queue": "low"}


def test_schedules_become_rows(settings):
    settings.JOB_SCHEDULES = {"nightly": {**NIGHTLY, "timezone": "Asia/Tokyo"}}

    sync.sync()

    row = Schedule.objects.get()
    assert (row.name, row.job_class, row.queue, row.params) == (
        "nightly",
        "Echo",
        "low",
        {"value": "x"},
    )
    assert row.next_at > timezone.now()
    assert row.next_at.hour == 17


def test_a_restart_doubles_nothing_and_keeps_a_missed_tick(settings):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}
    sync.sync()
    missed = timezone.now() - timedelta(hours=5)
    Schedule.objects.update(next_at=missed)

    sync.sync()

    assert Schedule.objects.get().next_at == missed


def test_a_schedule_taken_out_of_the_settings_disappears_but_its_runs_stay(settings):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY, "hourly": {**NIGHTLY, "cron": "0 * * * *"}}
    sync.sync()
    ScheduleRun.objects.create(
        schedule_name="hourly", logical_time=timezone.now(), created_at=timezone.now()
    )
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}

    sync.sync()

    assert list(Schedule.objects.values_list("name", flat=True)) == ["nightly"]
    assert ScheduleRun.objects.count() == 1


def test_a_changed_rule_starts_from_now(settings):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}
    sync.sync()
    Schedule.objects.update(next_at=timezone.now() - timedelta(hours=5))
    settings.JOB_SCHEDULES = {"nightly": {**NIGHTLY, "cron": "0 3 * * *"}}

    sync.sync()

    assert Schedule.objects.get().next_at > timezone.now()


def test_changed_params_keep_the_next_tick(settings):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}
    sync.sync()
    before = Schedule.objects.get().next_at
    settings.JOB_SCHEDULES = {"nightly": {**NIGHTLY, "params": {"value": "y"}}}

    sync.sync()

    row = Schedule.objects.get()
    assert (row.next_at, row.params) == (before, {"value": "y"})


def test_a_disabled_schedule_has_no_next_tick_and_misses_none(settings):
    settings.JOB_SCHEDULES = {"nightly": {**NIGHTLY, "enabled": False}}
    sync.sync()
    assert Schedule.objects.get().next_at is None
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}

    sync.sync()

    assert Schedule.objects.get().next_at > timezone.now()


def test_an_unreadable_entry_is_left_out_and_logged(settings, caplog):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY, "broken": {**NIGHTLY, "cron": "@daily"}}

    sync.sync()

    assert list(Schedule.objects.values_list("name", flat=True)) == ["nightly"]
    assert "@daily" in caplog.text
