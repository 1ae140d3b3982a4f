from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import run_checks
from hypothesis import given
from hypothesis import strategies as st

from jobs.base import BaseJob
from jobs.errors import InvalidSchedule
from jobs.models import Schedule
from jobs.schedules import declaration, fitting
from jobs.schedules.keys import KEYS
from jobs.schedules.moments.cron import Rule
from tests.schedules.breaking import BreakAtDispatch

GOOD = {"job": "Echo", "cron": "0 2 * * *", "params": {"value": "x"}, "queue": "low"}
STEPS = {
    "load": {"job": "Echo", "params": {"value": "x"}},
    "sum": {"job": "Echo", "params": {"value": "y"}, "after": ["load"]},
}
FLOW = {"steps": STEPS, "cron": "0 2 * * *"}


class OfADay(BaseJob):
    """Take the day it is for."""

    day: date
    before: date

    def _perform(self) -> None:
        return None


def found(settings, schedules):
    settings.JOB_SCHEDULES = schedules
    return [message for message in run_checks(tags=["jobs"]) if "JOB_SCHEDULES" in message.msg]


def read(entry, name="nightly"):
    declared, flaws = declaration.read(name, entry)
    assert flaws == []
    return declared


def hourly(**keys):
    return {"job": "Echo", "params": {"value": "x"}, "cron": "0 * * * *", **keys}


def test_a_good_schedule_passes_the_checks(settings):
    assert found(settings, {"nightly": GOOD}) == []


def test_a_schedule_with_every_key_is_read():
    declared = read(
        {
            "job": "Echo",
            "cron": ["0 2 * * *", " 30  3 * * sat ", "0 2 * * *"],
            "timezone": "Europe/Berlin",
            "start_at": "2026-12-01T08:00+01:00",
            "end_at": datetime(2027, 12, 1, tzinfo=UTC),
            "params": {"value": "x"},
            "queue": "low",
            "overlap": "queue_all",
            "catch_up": timedelta(minutes=90),
            "jitter": "30s",
            "enabled": False,
        }
    )

    assert declared == declaration.Declared(
        name="nightly",
        job="Echo",
        rule=Rule(
            crons=("0 2 * * *", "30 3 * * sat"),
            timezone="Europe/Berlin",
            start_at=datetime(2026, 12, 1, 7, tzinfo=UTC),
            end_at=datetime(2027, 12, 1, tzinfo=UTC),
        ),
        params={"value": "x"},
        queue="low",
        overlap="queue_all",
        catch_up="1h 30m",
        jitter=timedelta(seconds=30),
        enabled=False,
    )


def test_what_is_left_out_has_its_default(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    declared = read({"job": "Echo", "cron": "0 2 * * *"})

    assert declared == declaration.Declared(
        name="nightly",
        job="Echo",
        rule=Rule(crons=("0 2 * * *",), timezone="Europe/Berlin"),
        params={},
        queue="",
        overlap="skip",
        catch_up="last",
        jitter=timedelta(0),
        enabled=True,
    )


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_field_of_a_form_is_left_out(nothing):
    empty = dict.fromkeys(
        ("every", "timezone", "start_at", "end_at", "queue", "jitter", "job"), nothing
    )

    assert read({**empty, **GOOD, "params": None}) == read({"job": "Echo", **GOOD, "params": {}})


def test_the_lines_of_a_form_are_several_cron_lines():
    declared = read({"job": "Echo", "cron": "0 2 * * *\r\n\r\n30 3 * * *\n"})

    assert declared.rule.crons == ("0 2 * * *", "30 3 * * *")


@pytest.mark.parametrize("every", ["15m", timedelta(minutes=15)])
def test_an_interval_is_a_text_or_a_timedelta(every):
    assert read({"job": "Echo", "every": every}).rule.every == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-12-01T08:00:00+02:00", datetime(2026, 12, 1, 6, tzinfo=UTC)),
        ("2026-12-01T08:00:00Z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01 08:00", datetime(2026, 12, 1, 7, tzinfo=UTC)),
        ("2026-07-01T08:00", datetime(2026, 7, 1, 6, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 11, 30, 23, tzinfo=UTC)),
        (date(2026, 12, 1), datetime(2026, 11, 30, 23, tzinfo=UTC)),
        (datetime(2026, 12, 1, 8, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_without_a_zone_is_read_in_the_schedules(written, moment):
    declared = read({**GOOD, "timezone": "Europe/Berlin", "start_at": written})

    assert declared.rule.start_at == moment


def test_a_day_as_the_end_is_meant_whole():
    declared = read({**GOOD, "timezone": "Europe/Berlin", "end_at": "2026-12-31"})

    assert declared.rule.end_at == datetime(2026, 12, 31, 22, 59, 59, 999_999, tzinfo=UTC)


def test_an_end_that_has_passed_is_no_fault(settings):
    assert found(settings, {"nightly": {**GOOD, "end_at": "2020-01-01"}}) == []


@pytest.mark.parametrize(
    "entry",
    [
        GOOD,
        FLOW,
        {**GOOD, "cron": ["0 2 * * *", "0 3 * * *"], "jitter": "1m", "catch_up": "2d"},
        {"job": "Echo", "every": "90s", "start_at": "2026-12-01", "end_at": "2026-12-02"},
        {**GOOD, "enabled": False, "overlap": "allow", "timezone": "Asia/Tokyo"},
    ],
)
def test_a_row_says_what_its_entry_said(entry):
    declared = read(entry)
    row = Schedule(name="nightly", **declared.columns())

    assert read(declaration.entry_of(row)) == declared


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
        for flaw in declaration.read(name, entry)[1]
    ]

    assert len(example["JOB_SCHEDULES"]) >= 2
    assert flaws == []


def test_the_docs_list_every_key():
    page = Path(settings.BASE_DIR, "docs", "schedules.md").read_text()

    assert [key for key in KEYS if f"| `{key}` |" not in page] == []


@pytest.mark.parametrize(
    ("name", "entry", "check_id"),
    [
        ("schedule:nightly", GOOD, "jobs.E011"),
        ("", GOOD, "jobs.E011"),
        ("x" * 101, GOOD, "jobs.E011"),
        (7, GOOD, "jobs.E011"),
        ("nightly", "0 2 * * *", "jobs.E012"),
        ("nightly", {**GOOD, "overlaps": "skip"}, "jobs.E012"),
        ("nightly", {**GOOD, 7: "skip"}, "jobs.E012"),
        ("nightly", {"cron": "0 2 * * *"}, "jobs.E013"),
        ("nightly", {**GOOD, "steps": {"load": {"job": "Echo"}}, "params": {}}, "jobs.E013"),
        ("nightly", {**GOOD, "job": 7}, "jobs.E013"),
        ("nightly", {**GOOD, "job": "x" * 101}, "jobs.E013"),
        ("nightly", {**GOOD, "job": "a\x00b"}, "jobs.E013"),
        ("nightly", {**GOOD, "params": ["x"]}, "jobs.E013"),
        ("nightly", {**GOOD, "params": {"value": float("nan")}}, "jobs.E013"),
        ("nightly", {**GOOD, "queue": 3}, "jobs.E013"),
        ("nightly", {**GOOD, "enabled": "no"}, "jobs.E013"),
        ("nightly", {**GOOD, "enabled": 1}, "jobs.E013"),
        ("nightly", {**GOOD, "cron": "@daily"}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": ["0 2 * * *", "0 25 * * *"]}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": ["0 2 * * *", 7]}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": 7}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": "0 0 30 2 *"}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": [f"{n} 2 * * *" for n in range(51)]}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": f"{'0,' * 60}0 2 * * *"}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": None}, "jobs.E014"),
        ("nightly", {**GOOD, "cron": " \n "}, "jobs.E014"),
        ("nightly", {**GOOD, "every": timedelta(hours=1)}, "jobs.E014"),
        ("nightly", {"job": "Echo", "every": 60}, "jobs.E014"),
        ("nightly", {"job": "Echo", "every": "0s"}, "jobs.E014"),
        ("nightly", {"job": "Echo", "every": "soon"}, "jobs.E014"),
        ("nightly", {**GOOD, "timezone": "Europe/Nowhere"}, "jobs.E014"),
        ("nightly", {**GOOD, "timezone": ["UTC"]}, "jobs.E014"),
        ("nightly", {**GOOD, "start_at": "tomorrow"}, "jobs.E015"),
        ("nightly", {**GOOD, "start_at": 1764547200}, "jobs.E015"),
        ("nightly", {**GOOD, "start_at": datetime(2026, 12, 1)}, "jobs.E015"),  # noqa: DTZ001
        ("nightly", {**GOOD, "start_at": "0001-01-01"}, "jobs.E015"),
        ("nightly", {**GOOD, "end_at": "9999-12-31T23:59"}, "jobs.E015"),
        ("nightly", {**GOOD, "start_at": "2026-12-02", "end_at": "2026-12-01"}, "jobs.E015"),
        (
            "nightly",
            {**GOOD, "start_at": "2026-12-01T03:00", "end_at": "2026-12-01T04:00"},
            "jobs.E015",
        ),
        ("nightly", {**GOOD, "overlap": "wait"}, "jobs.E016"),
        ("nightly", {**GOOD, "overlap": None}, "jobs.E016"),
        ("nightly", {**GOOD, "catch_up": None}, "jobs.E016"),
        ("nightly", {**GOOD, "catch_up": "all"}, "jobs.E016"),
        ("nightly", {**GOOD, "catch_up": "0s"}, "jobs.E016"),
        ("nightly", {**GOOD, "catch_up": "1.5s"}, "jobs.E016"),
        ("nightly", {**GOOD, "jitter": 30}, "jobs.E016"),
        ("nightly", {**GOOD, "jitter": timedelta(seconds=-1)}, "jobs.E016"),
        ("nightly", {**GOOD, "jitter": "25h"}, "jobs.E016"),
        ("nightly", hourly(jitter="61m"), "jobs.E016"),
        ("nightly", hourly(cron=["0 * * * *", "5 * * * *"], jitter="6m"), "jobs.E016"),
        ("nightly", {"job": "Echo", "every": "1m", "jitter": "61s"}, "jobs.E016"),
        ("nightly", {"steps": [], "cron": "0 2 * * *"}, "jobs.E017"),
        ("nightly", {"steps": {}, "cron": "0 2 * * *"}, "jobs.E017"),
        ("nightly", {"steps": {"load": {}}, "cron": "0 2 * * *"}, "jobs.E017"),
        ("nightly", {**FLOW, "params": {"value": "x"}}, "jobs.E017"),
        ("nightly", {**FLOW, "steps": {"a": {"job": "Echo", "after": ["b"]}}}, "jobs.E017"),
        ("nightly", {**FLOW, "steps": {"a": {"job": "Echo", "after": ["a"]}}}, "jobs.E017"),
        ("nightly", {**GOOD, "job": "Nobody"}, "jobs.W011"),
        ("nightly", {**GOOD, "params": {"valeu": "x"}}, "jobs.W012"),
        ("nightly", {**GOOD, "params": {"value": "x" * 2**21}}, "jobs.W012"),
        ("nightly", {**GOOD, "queue": "nowhere"}, "jobs.W013"),
        ("nightly", {**FLOW, "queue": "nowhere", "steps": {"load": STEPS["load"]}}, "jobs.W013"),
        ("nightly", {**FLOW, "steps": {"load": {"job": "Echo", "queue": "nowhere"}}}, "jobs.W013"),
        ("nightly", {**FLOW, "steps": {"load": {"job": "Nobody"}}}, "jobs.W011"),
        ("nightly", {**GOOD, "params": {"value": "{logical_dat}"}}, "jobs.W014"),
        ("nightly", {**GOOD, "params": {"value": "{ logical_time }"}}, "jobs.W014"),
        (
            "nightly",
            {**FLOW, "steps": {"a": {"job": "Echo", "params": {"value": "{logical_day}"}}}},
            "jobs.W014",
        ),
        ("nightly", {**FLOW, "steps": {"load": {"job": "Echo", "params": {"x": 1}}}}, "jobs.W012"),
    ],
)
def test_a_fault_is_a_system_check_with_a_hint(settings, name, entry, check_id):
    messages = found(settings, {name: entry})

    assert [message.id for message in messages] == [check_id]
    assert messages[0].hint


@pytest.mark.parametrize(
    "entry",
    [
        hourly(jitter="60m"),
        hourly(cron="0 * * * *\n" * 60 + "1 2 * * *"),
        hourly(start_at="2026-12-01", end_at="2026-12-01"),
        hourly(catch_up="none"),
        hourly(params={"value": "{logical_date} {other} {"}),
        {
            "job": "OfADay",
            "every": "1d",
            "params": {"day": "{logical_date}", "before": "{previous_logical_date}"},
        },
        FLOW,
    ],
)
def test_what_is_at_the_edge_of_a_fault_is_none(settings, entry):
    assert found(settings, {"nightly": entry}) == []


texts = st.text(max_size=8) | st.sampled_from(
    ["0 2 * * *", "1h", "none", "UTC", "Echo", "2026-12-01", "{logical_date}", "\x00", "\ud800"]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
SENSIBLE = {"job": st.just("Echo"), "cron": st.sampled_from(["* * * * *", ["0 2 * * *"]])}
OTHERS = {
    "timezone": st.sampled_from(["UTC", "Asia/Tokyo"]) | any_json,
    "start_at": st.datetimes().map(str) | st.dates() | texts,
    "end_at": st.datetimes().map(str) | st.dates() | texts,
    "params": st.dictionaries(st.sampled_from(["value", "x"]), any_json),
    "catch_up": st.timedeltas() | texts,
    "jitter": st.timedeltas() | texts,
}
sensible = st.fixed_dictionaries(SENSIBLE, optional=OTHERS)


@given(name=texts, entry=any_json | st.dictionaries(st.sampled_from([*KEYS]), any_json) | sensible)
def test_whatever_is_sent_is_read_or_told_what_is_wrong(name, entry):
    declared, flaws = fitting.examined(name, entry)

    assert (declared is None) == any(not flaw.is_misfit for flaw in flaws)
    assert all(flaw.sentence for flaw in flaws)
    if declared is not None:
        row = Schedule(name=name, **declared.columns())
        assert declaration.read(name, declaration.entry_of(row)) == (declared, [])


def test_every_fault_of_an_entry_is_told_at_once():
    _, flaws = declaration.read("night ly", {"job": 7, "cron": "x", "jitter": "?", "queue": 1})

    assert [flaw.key for flaw in flaws] == ["name", "job", "cron", "queue", "jitter"]
    assert [flaw.check_id for flaw in flaws] == [
        "jobs.E011", "jobs.E013", "jobs.E014", "jobs.E013", "jobs.E016",
    ]  # fmt: skip


@pytest.mark.parametrize("policy", [{"overlap": "queue"}, {"catch_up": "1h"}])
def test_first_steps_that_would_wait_in_too_many_ways_want_one_before_them(policy):
    wide = {f"s{number}": {"job": "Echo"} for number in range(101)}
    gated = {name: {**step, "after": ["first"]} for name, step in wide.items()}

    _, (flaw,) = declaration.read("wide", {**FLOW, **policy, "steps": wide})

    assert flaw.check_id == "jobs.E017"
    assert "101 of 101 follow no other" in flaw.message
    assert "10,201 ways, at most 10,000" in flaw.message
    for entry in (
        {**policy, "steps": gated | {"first": {"job": "Echo"}}},
        {**policy, "steps": wide, "overlap": "allow"},
        {"steps": wide},
    ):
        assert declaration.read("wide", {**FLOW, **entry})[1] == []


def test_steps_that_wait_for_each_other_are_named():
    steps = {
        "load": {"job": "Echo", "after": ["sum"]},
        "sum": {"job": "Echo", "after": ["clean"]},
        "clean": {"job": "Echo", "after": ["load"]},
    }

    _, flaws = declaration.read("nightly", {**FLOW, "steps": steps})

    assert [flaw.key for flaw in flaws] == ["steps"]
    assert all(step in flaws[0].message for step in steps)


def test_a_door_is_told_what_is_wrong_with_which_key():
    with pytest.raises(InvalidSchedule) as refused:
        fitting.checked("nightly", {**GOOD, "job": "Nobody", "queue": "nowhere"})

    assert [fault["param"] for fault in refused.value.faults] == ["job", "queue"]
    assert all("are:" in fault["message"] for fault in refused.value.faults)


def test_schedules_that_are_no_dict_are_a_fault(settings):
    assert [message.id for message in found(settings, [GOOD])] == ["jobs.E010"]


def test_a_class_that_breaks_on_its_params_is_a_warning(settings):
    entry = {"job": BreakAtDispatch.spec.name, "cron": "0 2 * * *", "params": {"secret": "s3cr3t!"}}

    messages = found(settings, {"nightly": entry})

    assert [message.id for message in messages] == ["jobs.W012"]
    assert "RuntimeError" in messages[0].msg
    assert "s3cr3t!" not in messages[0].msg


@pytest.mark.parametrize("is_workflow", [False, True])
def test_a_fault_never_repeats_a_redacted_param(settings, is_workflow):
    entry = {"job": "Secretive", "params": {"user": 5, "password": "s3cr3t!"}}
    entry = {"steps": {"load": entry}} if is_workflow else entry

    messages = found(settings, {"nightly": {**entry, "cron": "0 2 * * *"}})

    assert [message.id for message in messages] == ["jobs.W012"]
    assert "s3cr3t!" not in messages[0].msg
