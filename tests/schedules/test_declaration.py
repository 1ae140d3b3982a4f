from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import run_checks

from jobs.schedules import declaration
from tests.schedules.breaking import BreakAtDispatch

GOOD = {"job": "Echo", "cron": "0 2 * * *", "params": {"value": "x"}, "queue": "low"}


def found(settings, schedules):
    settings.JOB_SCHEDULES = schedules
    return [message for message in run_checks(tags=["jobs"]) if "JOB_SCHEDULES" in message.msg]


def test_a_good_schedule_passes_the_checks(settings):
    assert found(settings, {"nightly": GOOD}) == []


def test_the_shipped_schedules_are_sound():
    names = [item.name for item in declaration.sound()]

    assert names == ["import-airports", "truncate-daily-stats"]


def test_the_example_of_the_docs_can_be_read():
    page = Path(settings.BASE_DIR, "docs", "schedules.md").read_text()
    example = {"timedelta": timedelta}
    exec(page.partition("```python\n")[2].partition("```")[0], example)  # noqa: S102 - our own page

    flaws = [
        flaw
        for name, entry in example["JOB_SCHEDULES"].items()
        for flaw in declaration.flaws(name, entry)
    ]

    assert len(example["JOB_SCHEDULES"]) == 2
    assert flaws == []


def test_a_schedule_without_a_zone_is_read_in_the_sites(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    assert declaration.read("nightly", GOOD).rule.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "entry", "check_id"),
    [
        ("schedule:nightly", GOOD, "jobs.E011"),
        ("", GOOD, "jobs.E011"),
        ("x" * 101, GOOD, "jobs.E011"),
        (7, GOOD, "jobs.E011"),
        ("nightly", "0 2 * * *", "jobs.E012"),
        ("nightly", {**GOOD, "overlap": "skip"}, "jobs.E012"),
        ("nightly", {"cron": "0 2 * * *"}, "jobs.E013"),
        ("nightly", {**GOOD, "params": ["x"]}, "jobs.E013"),
        ("nightly", {**GOOD, "params": {"value": float("nan")}}, "jobs.E013"),
        ("nightly", {**GOOD, "queue": 3}, "jobs.E013"),
        ("nightly", {**GOOD, "enabled": "no"}, "jobs.E013"),
        ("nightly", {**GOOD, "cron": "@daily"}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": None}, "jobs.E014"),
        ("nightly", {**GOOD, "every": timedelta(hours=1)}, "jobs.E014"),
        ("nightly", {"job": "Echo", "every": 60}, "jobs.E014"),
        ("nightly", {**GOOD, "timezone": "Europe/Nowhere"}, "jobs.E014"),
        ("nightly", {**GOOD, "job": "Nobody"}, "jobs.W011"),
        ("nightly", {**GOOD, "params": {"valeu": "x"}}, "jobs.W012"),
        ("nightly", {**GOOD, "queue": "nowhere"}, "jobs.W013"),
    ],
)
def test_a_fault_is_a_system_check_with_a_hint(settings, name, entry, check_id):
    messages = found(settings, {name: entry})

    assert [message.id for message in messages] == [check_id]
    assert messages[0].hint


def test_schedules_that_are_no_dict_are_a_fault(settings):
    assert [message.id for message in found(settings, [GOOD])] == ["jobs.E010"]


def test_a_class_that_breaks_on_its_params_is_a_warning(settings):
    entry = {"job": BreakAtDispatch.spec.name, "cron": "0 2 * * *", "params": {"secret": "s3cr3t!"}}

    messages = found(settings, {"nightly": entry})

    assert [message.id for message in messages] == ["jobs.W012"]
    assert "RuntimeError" in messages[0].msg
    assert "s3cr3t!" not in messages[0].msg


def test_a_fault_never_repeats_a_redacted_param(settings):
    entry = {"job": "Secretive", "cron": "0 2 * * *", "params": {"user": 5, "password": "s3cr3t!"}}

    messages = found(settings, {"nightly": entry})

    assert [message.id for message in messages] == ["jobs.W012"]
    assert "s3cr3t!" not in messages[0].msg
