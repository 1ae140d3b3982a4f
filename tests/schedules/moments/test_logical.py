from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from jobs.schedules.moments import logical
from jobs.schedules.moments.cron import Rule

NIGHTLY = Rule(crons=("0 2 * * *",), timezone="Europe/Berlin")
MOMENT = datetime(2026, 12, 1, 1, tzinfo=UTC)  # two o'clock in Berlin


def filled(text, rule=NIGHTLY, moment=MOMENT):
    return logical.filled({"text": text}, rule, moment)["text"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{logical_time}", "2026-12-01T02:00:00+01:00"),
        ("day={logical_date}/", "day=2026-12-01/"),
        ("{previous_logical_time}", "2026-11-30T02:00:00+01:00"),
        ("{previous_logical_date}", "2026-11-30"),
        ("{next_logical_time}", "2026-12-02T02:00:00+01:00"),
        ("{previous_logical_date}..{next_logical_date}", "2026-11-30..2026-12-02"),
    ],
)
def test_a_name_stands_for_the_time_in_the_schedules_zone(text, said):
    assert filled(text) == said


def test_a_date_is_the_day_there_and_not_in_utc():
    tokyo = Rule(crons=("0 8 * * *",), timezone="Asia/Tokyo")

    assert filled("{logical_date}", tokyo, datetime(2026, 12, 1, 23, tzinfo=UTC)) == "2026-12-02"


def test_names_are_replaced_in_lists_and_dicts_and_keys_stay():
    params = {"days": ["{logical_date}", 7], "{logical_date}": {"day": "{logical_date}", "n": None}}

    assert logical.filled(params, NIGHTLY, MOMENT) == {
        "days": ["2026-12-01", 7],
        "{logical_date}": {"day": "2026-12-01", "n": None},
    }


@pytest.mark.parametrize(
    "text",
    ["{}", "{0}", "{{x}}", "{other}", "{logical_date", "{logical_date.year}", "{logical_date!r}"],
)
def test_other_braces_stay_as_they_are(text):
    assert filled(text) == text


def test_what_a_name_stands_for_is_not_read_again():
    assert filled("{{logical_date}}") == "{2026-12-01}"


def test_where_there_is_no_such_moment_the_text_is_empty():
    once = Rule(every=timedelta(days=1), start_at=MOMENT, end_at=MOMENT)

    assert filled("{previous_logical_time}|{next_logical_date}", once) == "|"


def test_names_that_are_none_are_found():
    params = {"a": ["{logical_day}"], "b": {"c": "{ logical_date }"}, "d": "{other} {logical_date}"}

    assert list(logical.unknown(params)) == ["logical_day", " logical_date "]


def test_the_docs_tell_what_each_name_stands_for():
    page = Path(settings.BASE_DIR, "docs", "schedules.md").read_text()
    rows = re.findall(r"^\| (`\{.*?) \|.*\| (.*?) \|$", page, re.MULTILINE)
    told = {
        name: said
        for names, texts in rows
        for name, said in zip(
            re.findall(r"`\{(\w+)\}`", names), re.findall(r"`(.*?)`", texts), strict=True
        )
    }

    assert told == {name: filled(f"{{{name}}}") for name in logical.NAMES}
