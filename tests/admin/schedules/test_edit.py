from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs import registry
from jobs.admin.schedules.params import ScheduleParamsForm
from jobs.models import Schedule, ScheduleChange
from jobs.schedules import control
from tests.admin import test_run_page  # noqa: F401 - its class of every kind of param
from tests.admin.conftest import browser, person
from tests.histories import make_schedule

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

ADD = "/admin/jobs/schedule/add/"
EDIT = "/admin/jobs/schedule/nightly/edit/"
PREVIEW = "/admin/jobs/schedule/preview/"
PARAMS = "/admin/jobs/schedule/params/"
FORM = {
    "name": "nightly",
    "job": "Echo",
    "cron": "0 2 * * *",
    "every": "",
    "timezone": "Europe/Berlin",
    "start_at": "",
    "end_at": "",
    "queue": "low",
    "overlap": "queue",
    "catch_up": "1h",
    "jitter": "30s",
    "enabled": "on",
    "param-value": "of {logical_date}",
    "note": "Asked for by sales",
}
STORED = {
    "source": "admin",
    "timezone": "Europe/Berlin",
    "overlap": "queue",
    "catch_up": "1h",
    "jitter": timedelta(seconds=30),
    "params": {"value": "of {logical_date}"},
}


def test_a_schedule_is_made(boss):
    answer = boss.post(ADD, FORM, follow=True)

    made = Schedule.objects.get()
    assert answer.redirect_chain[-1][0] == "/admin/jobs/schedule/nightly/change/"
    assert (made.name, made.source, made.job_class) == ("nightly", "admin", "Echo")
    assert (made.crons, made.timezone, made.queue) == (["0 2 * * *"], "Europe/Berlin", "low")
    assert (made.overlap, made.catch_up, made.jitter) == ("queue", "1h", timedelta(seconds=30))
    assert made.params == {"value": "of {logical_date}"}
    assert made.next_at > timezone.now()
    change = ScheduleChange.objects.get()
    assert (change.verb, change.by, change.note) == ("created", "boss", "Asked for by sales")


def test_several_lines_and_bounds_are_read_in_the_schedule_s_zone(boss):
    lines = {"cron": "0 2 * * *\r\n30 18 * * fri\r\n", "start_at": "2026-12-01T08:00:00"}

    boss.post(ADD, FORM | lines)

    made = Schedule.objects.get()
    assert made.crons == ["0 2 * * *", "30 18 * * fri"]
    assert made.start_at == datetime(2026, 12, 1, 7, tzinfo=UTC)


def test_an_interval_is_made(boss):
    boss.post(ADD, FORM | {"cron": "", "every": "1h 30m"})

    assert Schedule.objects.get().every == timedelta(minutes=90)


def test_a_workflow_is_made_of_steps(boss):
    steps = (
        '{"a": {"job": "Echo"}, "b": {"job": "Sleep", "params": {"seconds": 1}, "after": ["a"]}}'
    )

    boss.post(ADD, FORM | {"job": "", "steps": steps})

    made = Schedule.objects.get()
    assert (made.job_class, list(made.steps)) == ("", ["a", "b"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "no blanks"}, "is no name for a schedule"),
        ({"name": ""}, "is no name for a schedule"),
        ({"cron": "0 25 * * *"}, "is no cron line"),
        ({"cron": "0 0 30 2 *"}, "never comes"),
        ({"cron": ""}, "names neither cron nor every"),
        ({"every": "5m"}, "names both cron and every"),
        ({"cron": "", "every": "soon"}, "is no length of time"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"start_at": "2026-12-02", "end_at": "2026-12-01"}, "end_at is earlier than start_at"),
        ({"overlap": "whatever"}, "Select a valid choice"),
        ({"catch_up": "never"}, "catch_up can&#x27;t be read"),
        ({"jitter": "2d"}, "jitter (2d) is longer"),
        ({"queue": "nowhere"}, "Select a valid choice"),
        ({"job": "Nobody"}, "Select a valid choice"),
        ({"param-value": "{logical_day}"}, "stands for nothing"),
        ({"job": "Sleep", "param-seconds": "soon"}, "valid number"),
        ({"job": "", "steps": "{"}, "This is not JSON"),
        ({"job": "", "steps": "[]"}, "Name the steps"),
        ({"job": "", "steps": '{"a": {"job": "Nobody"}}'}, "no job class is named"),
        ({"note": "\x00"}, "Null characters are not allowed."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_made(boss, fields, words):
    html = boss.post(ADD, FORM | fields).content.decode()

    assert "Please correct what is marked below." in html
    assert words in html
    assert not Schedule.objects.exists()
    assert not ScheduleChange.objects.exists()


def test_a_name_that_is_taken_is_told_at_its_field(boss):
    make_schedule()

    answer = boss.post(ADD, FORM)

    assert answer.status_code == 200
    assert "name" in answer.context["form"].errors
    assert Schedule.objects.get().source == "settings"


def test_a_schedule_is_changed_and_its_history_says_how(boss):
    make_schedule(**STORED)
    form = {key: value for key, value in FORM.items() if key != "name"}

    boss.post(EDIT, form | {"cron": "0 3 * * *", "catch_up": "none"})

    changed = Schedule.objects.get()
    assert (changed.crons, changed.catch_up) == (["0 3 * * *"], "none")
    assert ScheduleChange.objects.get().what == {
        "cron": [["0 2 * * *"], ["0 3 * * *"]],
        "catch_up": ["1h", "none"],
    }


def test_who_saves_what_somebody_else_has_changed_meanwhile_is_told_and_asked_again(boss):
    make_schedule(**STORED)
    opened = boss.get(EDIT).context["form"]["seen"].value()
    control.change("nightly", {"job": "Echo", "cron": "0 4 * * *"}, by="bob")
    form = FORM | {"cron": "0 3 * * *", "param-value": "mine", "seen": opened}

    wrong = boss.post(EDIT, form | {"queue": "nowhere"}).context["form"]
    refused = boss.post(EDIT, form)

    assert wrong["seen"].value() == opened, "a fault makes one forget when one opened it"
    assert "bob has changed" in str(refused.context["form"].non_field_errors())
    shown = refused.context["form"]
    typed = {key: value for key, value in form.items() if key in shown.fields and key != "seen"}
    assert {key: shown[key].value() for key in typed} == typed | {"enabled": True}
    assert 'value="mine"' in refused.content.decode()
    assert Schedule.objects.get().crons == ["0 4 * * *"]

    boss.post(EDIT, form | {"seen": refused.context["form"]["seen"].value()})

    assert Schedule.objects.get().crons == ["0 3 * * *"]


def test_a_pause_and_a_run_meanwhile_are_no_change_of_what_is_edited(boss):
    make_schedule(**STORED)
    opened = boss.get(EDIT).context["form"]["seen"].value()
    control.pause("nightly", by="bob")
    control.run_now("nightly", by="bob")

    boss.post(EDIT, FORM | {"cron": "0 3 * * *", "seen": opened})

    assert Schedule.objects.get().crons == ["0 3 * * *"]


def test_a_form_that_nobody_touched_changes_nothing(boss):
    bounds = {
        "start_at": datetime(2026, 10, 25, 1, 30, 7, 123_456, tzinfo=UTC),  # 02:30, the second time
        "end_at": datetime(2027, 1, 1, tzinfo=UTC) - timedelta(microseconds=1),
    }
    before = make_schedule(**STORED | bounds)
    shown = boss.get(EDIT).context
    typed = {name: shown["form"][name].value() for name in shown["form"].fields}
    typed |= {f.name: f.value() for f, _ in shown["params"].params_shown}

    boss.post(EDIT, {key: value for key, value in typed.items() if value})

    assert Schedule.objects.values().get() == Schedule.objects.filter(
        name="nightly", synced_at=before.synced_at
    ).values().get()  # fmt: skip
    assert not ScheduleChange.objects.exists()
    assert Schedule.objects.get().start_at == bounds["start_at"]


def test_a_secret_stays_and_is_never_shown(boss):
    secret = {"user": "alice", "password": "correct horse"}
    make_schedule(**STORED | {"job_class": "Secretive", "params": secret})
    form = FORM | {
        "job": "Secretive",
        "param-user": "alice",
        "param-password": "",
        "cron": "1 2 * * *",
    }

    html = boss.get(EDIT).content.decode()
    boss.post(EDIT, form)

    assert "correct horse" not in html
    changed = Schedule.objects.get()
    assert (changed.params, changed.crons) == (secret, ["1 2 * * *"])


def test_a_secret_is_not_taken_along_to_another_place(boss):
    secret = {"user": "alice", "password": "correct horse"}
    make_schedule(**STORED | {"job_class": "Secretive", "params": secret})

    answer = boss.post(
        EDIT, FORM | {"job": "Secretive", "param-user": "mallory", "param-password": ""}
    )

    assert "Type it again" in answer.content.decode()
    assert Schedule.objects.get().params == secret


def with_secrets():
    """Make a workflow with a secret; return its form as a browser sends it."""
    step = {"job": "Secretive", "params": {"user": "alice", "password": "correct horse"}}
    make_schedule(**STORED | {"job_class": "", "params": {}, "steps": {"a": step}})
    shown = {"a": {**step, "params": {"user": "alice", "password": "[redacted]"}}}
    return shown, FORM | {"job": "", "cron": "1 2 * * *"}


def test_a_secret_of_a_step_stays_and_is_never_shown(boss):
    shown, form = with_secrets()

    html = boss.get(EDIT).content.decode()
    boss.post(EDIT, form | {"steps": json.dumps(shown)})

    assert "correct horse" not in html
    changed = Schedule.objects.get()
    assert changed.steps["a"]["params"] == {"user": "alice", "password": "correct horse"}
    assert changed.crons == ["1 2 * * *"]


@pytest.mark.parametrize("way", ["other params", "another name", "another class"])
def test_a_secret_of_a_step_is_not_taken_along_to_another_place(boss, way):
    shown, form = with_secrets()
    if way == "other params":
        shown["a"]["params"]["user"] = "mallory"
    elif way == "another name":
        shown["b"] = shown.pop("a")
    else:
        shown["a"] |= {"job": "Echo", "params": {"value": "[redacted]"}}

    answer = boss.post(EDIT, form | {"steps": json.dumps(shown)})

    if way == "another class":
        assert "correct horse" not in json.dumps(Schedule.objects.get().steps)
    else:
        assert "type password again" in answer.content.decode()
        stored = Schedule.objects.get().steps["a"]["params"]
        assert stored == {"user": "alice", "password": "correct horse"}


def test_a_schedule_of_the_settings_is_not_edited(boss):
    make_schedule()

    assert boss.get(EDIT).status_code == 403
    assert boss.post(EDIT, FORM).status_code == 403
    page = boss.get("/admin/jobs/schedule/nightly/change/").content.decode()
    assert "edited there" in page
    assert EDIT not in page


def test_an_address_may_name_the_class(boss):
    specs = {
        asked: boss.get(ADD, {"job": asked}).context["spec"] for asked in ("Sleep", "", "Nobody")
    }

    assert specs == {"Sleep": registry.get("Sleep"), "": None, "Nobody": registry.specs()[0]}


def test_another_class_shows_its_own_params_also_without_a_script(boss):
    html = boss.post(ADD, FORM | {"job": "Sleep", "choose": "Show its params"}).content.decode()

    assert 'name="param-seconds"' in html
    assert 'value="nightly"' in html
    assert "Please correct" not in html
    assert not Schedule.objects.exists()


def test_the_params_of_a_class_are_fetched_by_the_form_s_script(boss):
    make_schedule(**STORED)

    other = boss.get(PARAMS, {"job": "Sleep", "schedule": "nightly"}).content.decode()
    own = boss.get(PARAMS, {"job": "Echo", "schedule": "nightly"}).content.decode()
    steps = boss.get(PARAMS, {"job": ""}).content.decode()

    assert 'name="param-seconds"' in other
    assert "of {logical_date}" in own
    assert 'name="steps"' in steps
    assert boss.get(PARAMS, {"job": "Nobody", "schedule": "\x00"}).status_code == 200


def test_the_preview_tells_the_next_moments(boss):
    found = boss.post(PREVIEW, FORM).json()

    assert found["faults"] == {}
    assert "At 02:00" in found["html"]
    assert found["html"].count("02:00 CE") == 5


@pytest.mark.parametrize(
    ("fields", "key", "words"),
    [
        ({"cron": "0 25 * * *"}, "cron", "no cron line"),
        ({"cron": ""}, "cron", "neither cron nor every"),
        ({"timezone": "Mars"}, "timezone", "no time zone"),
        ({"jitter": "2d"}, "jitter", "longer"),
        ({"catch_up": "x"}, "catch_up", "can't be read"),
        ({"start_at": "x"}, "start_at", "no moment"),
        ({"cron": "\x00"}, "cron", "no cron line"),
    ],
)
def test_the_preview_tells_what_is_wrong_at_its_key(boss, fields, key, words):
    found = boss.post(PREVIEW, FORM | fields).json()

    assert words in found["faults"][key]
    assert "no moment" in found["html"]


def test_the_preview_of_an_empty_form_is_no_server_error(boss):
    assert boss.post(PREVIEW).status_code == 200


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        (["view_schedule"], False),
        (["view_schedule", "add_schedule", "run_echo"], False),
        (["change_schedule"], False),
        (["change_schedule", "run_echo"], True),
        (["change_schedule", "run_sleep"], False),
    ],
)
def test_who_makes_or_edits_one_must_have_the_right_to_run_its_class(rights, may):
    make_schedule(**STORED)
    client = browser(person("pat", *(f"jobs.{right}" for right in rights)))

    client.post(ADD, FORM | {"name": "other"})
    client.post(EDIT, FORM | {"cron": "9 9 * * *"})

    assert Schedule.objects.filter(name="other").exists() == may
    assert Schedule.objects.filter(crons=["9 9 * * *"]).exists() == may


def test_a_class_that_one_may_not_run_is_not_put_into_one_s_schedule():
    make_schedule(**STORED)
    client = browser(person("pat", "jobs.change_schedule", "jobs.run_echo"))

    shown = client.get(PARAMS, {"job": "Sleep", "schedule": "nightly"}).content.decode()
    client.post(EDIT, FORM | {"job": "Sleep", "param-seconds": "1"})
    steps = {"job": "", "steps": '{"a": {"job": "Sleep"}}'}
    html = client.post(EDIT, FORM | steps).content.decode()

    assert "You may not run Sleep." in html
    assert "param-seconds" not in shown
    assert Schedule.objects.get().job_class == "Echo"


def test_the_form_s_helpers_are_for_who_may_write(viewer):
    make_schedule(**STORED)
    looker = browser(person("vera", "jobs.view_schedule"))

    for client in (viewer, looker):
        assert client.post(PREVIEW, FORM).status_code == 403
        assert client.get(PARAMS, {"job": "Echo"}).status_code == 403
    stranger = browser(person("pat", "jobs.change_schedule", "jobs.run_sleep"))
    assert stranger.get(PARAMS, {"job": "Echo", "schedule": "nightly"}).status_code == 403


def test_add_is_offered_to_who_may_run_a_class():
    may = browser(person("pat", "jobs.change_schedule", "jobs.run_echo"))
    may_not = browser(person("victor", "jobs.change_schedule"))

    assert f'href="{ADD}"' in may.get("/admin/jobs/schedule/").content.decode()
    assert f'href="{ADD}"' not in may_not.get("/admin/jobs/schedule/").content.decode()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("1.5", 1.5), ("3", 3), ("1e400", "1e400"), ("NaN", "NaN"), ("true", "true"),
        ("{logical_date}", "{logical_date}"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_a_number_is_kept_as_one_and_any_other_text_as_it_is(typed, kept):
    form = ScheduleParamsForm(registry.get("Sleep"), {"param-seconds": typed})

    assert form.is_valid()
    assert form.cleaned_data["params"] == {"seconds": kept}


def test_params_that_nobody_touched_stay_as_they_are_stored_or_left_out():
    spec = registry.get("EveryField")
    stored = {"text": "a\nb", "count": 3, "is_sure": True, "names": ["x", "y"], "price": "1.50"}
    stored |= {"moment": "2026-12-01T02:00:00+01:00", "rows": [{"name": "n", "size": 1}]}
    shown = ScheduleParamsForm(spec, stored=stored)
    data = {f.html_name: f.value() for f, _ in shown.params_shown if f.value() is not False}
    data["param-text"] = "a\r\nb"

    form = ScheduleParamsForm(spec, data, stored=stored)
    changed = ScheduleParamsForm(spec, data | {"param-count": "4"}, stored=stored)

    assert form.is_valid(), form.errors
    assert form.cleaned_data["params"] == stored
    assert changed.is_valid()
    assert changed.cleaned_data["params"] == stored | {"count": 4}


def test_a_stored_param_that_the_class_has_no_more_is_left_out():
    spec = registry.get("Echo")

    form = ScheduleParamsForm(spec, {"param-value": "x"}, stored={"value": "x", "old": 1})

    assert form.is_valid()
    assert form.cleaned_data["params"] == {"value": "x"}
