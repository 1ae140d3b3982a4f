from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from jobs.errors import (
    InvalidParams,
    InvalidSchedule,
    ScheduleChanged,
    ScheduleExists,
    ScheduleIsOfSettings,
    UnknownJob,
    UnknownSchedule,
)
from jobs.models import JobStatus, Schedule, ScheduleChange, ScheduleRun
from jobs.schedules import control, declaration, sync
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of

pytestmark = pytest.mark.django_db

NIGHTLY = {"job": "Echo", "cron": "0 2 * * *", "params": {"value": "x"}, "queue": "low"}


@pytest.fixture
def nightly():
    """A schedule made in the admin."""
    return control.create("nightly", NIGHTLY, by="ann")


@pytest.fixture
def of_settings(settings):
    """A schedule of the settings."""
    settings.JOB_SCHEDULES = {"hourly": {**NIGHTLY, "cron": "0 * * * *"}}
    sync.sync()
    return Schedule.objects.get(name="hourly")


def last_change(name="nightly"):
    return ScheduleChange.objects.filter(schedule_name=name).latest("id")


def miss():
    """Have every schedule wait since its last moment, as if no scheduler had been there."""
    for row in Schedule.objects.all():
        missed = cron.previous_before(rule_of(row), timezone.now())
        Schedule.objects.filter(name=row.name).update(next_at=missed)
    return missed


def test_a_schedule_is_made_with_its_history():
    row = control.create("nightly", {**NIGHTLY, "overlap": "queue"}, by="ann", note="for Bob")

    row.refresh_from_db()
    assert (row.source, row.job_class, row.overlap) == ("admin", "Echo", "queue")
    assert row.next_at > timezone.now()
    change = last_change()
    assert (change.verb, change.by, change.note) == ("created", "ann", "for Bob")
    assert change.what["overlap"] == [None, "queue"]


@pytest.mark.parametrize(
    "entry",
    [{**NIGHTLY, "cron": "@daily"}, {**NIGHTLY, "job": "Nobody"}, {**NIGHTLY, "params": {"y": 1}}],
)
def test_a_wrong_schedule_is_not_made(entry):
    with pytest.raises(InvalidSchedule):
        control.create("nightly", entry, by="ann")

    assert Schedule.objects.count() == ScheduleChange.objects.count() == 0


def test_a_second_schedule_of_the_name_is_refused(nightly):
    with pytest.raises(ScheduleExists, match="made in the admin"):
        control.create("nightly", NIGHTLY, by="bob")

    assert ScheduleChange.objects.count() == 1


def test_a_name_of_the_settings_is_taken_before_they_are_read(settings):
    settings.JOB_SCHEDULES = {"nightly": NIGHTLY}

    with pytest.raises(ScheduleExists, match="made in the settings"):
        control.create("nightly", NIGHTLY, by="ann")


def test_a_change_keeps_the_next_tick_and_says_what_was(nightly):
    missed = miss()

    control.change("nightly", {**NIGHTLY, "catch_up": "none", "queue": None}, by="bob")

    row = Schedule.objects.get()
    assert (row.catch_up, row.queue, row.next_at) == ("none", "", missed)
    change = last_change()
    assert (change.verb, change.by) == ("changed", "bob")
    assert change.what == {"queue": ["low", None], "catch_up": ["last", "none"]}


def test_a_new_rule_settles_what_was_due_under_the_old_one(nightly):
    missed = miss()

    control.change("nightly", {**NIGHTLY, "cron": "0 3 * * *"}, by="bob")

    assert ScheduleRun.objects.get().logical_time == missed
    assert Schedule.objects.get().next_at.hour == 3


def test_a_change_of_nothing_leaves_no_trace(nightly):
    control.change("nightly", declaration.entry_of(nightly), by="bob")

    assert [change.verb for change in ScheduleChange.objects.all()] == ["created"]


def test_who_saw_it_before_another_ones_change_is_refused(nightly):
    seen = control.version(nightly)
    control.pause("nightly", by="ann")
    control.change("nightly", {**NIGHTLY, "cron": "0 3 * * *"}, by="ann", seen=seen)

    with pytest.raises(ScheduleChanged, match="ann has changed 'nightly' meanwhile") as refused:
        control.change("nightly", {**NIGHTLY, "cron": "0 4 * * *"}, by="bob", seen=seen)

    row = Schedule.objects.get()
    assert row.crons == ["0 3 * * *"]
    assert refused.value.version == control.version(row)
    assert last_change().by == "ann"


def test_a_wrong_change_changes_nothing(nightly):
    with pytest.raises(InvalidSchedule) as refused:
        control.change("nightly", {**NIGHTLY, "overlap": "maybe", "jitter": "soon"}, by="bob")

    assert [fault["param"] for fault in refused.value.faults] == ["overlap", "jitter"]
    assert Schedule.objects.get().overlap == "skip"


def test_a_deleted_schedule_leaves_its_runs_and_its_history(nightly):
    control.run_now("nightly", by="ann")

    control.delete("nightly", by="bob", note="done with it")

    assert Schedule.objects.count() == 0
    assert ScheduleRun.objects.count() == JobStatus.objects.count() == 1
    assert (last_change().verb, last_change().note) == ("deleted", "done with it")


@pytest.mark.parametrize(
    "verb",
    [
        lambda name: control.change(name, NIGHTLY, by="ann"),
        lambda name: control.delete(name, by="ann"),
    ],
    ids=["change", "delete"],
)
def test_what_the_settings_declare_only_they_change(of_settings, verb):
    with pytest.raises(ScheduleIsOfSettings, match=r"settings\.JOB_SCHEDULES"):
        verb("hourly")

    assert declaration.entry_of(Schedule.objects.get()) == declaration.entry_of(of_settings)


def test_what_the_settings_declare_can_be_paused_resumed_and_run(of_settings):
    control.pause("hourly", by="ann")
    control.run_now("hourly", by="ann")
    control.resume("hourly", by="ann")

    verbs = ScheduleChange.objects.order_by("id").values_list("verb", "by")
    assert list(verbs) == [
        ("created", "settings"),
        ("paused", "ann"),
        ("ran", "ann"),
        ("resumed", "ann"),
    ]


@pytest.mark.parametrize(
    "verb",
    [
        lambda: control.change("nobody", NIGHTLY, by="ann"),
        lambda: control.delete("nobody", by="ann"),
        lambda: control.pause("nobody", by="ann"),
        lambda: control.resume("nobody", by="ann"),
        lambda: control.run_now("nobody", by="ann"),
    ],
    ids=["change", "delete", "pause", "resume", "run_now"],
)
def test_a_schedule_that_is_not_there_is_said_to_be_unknown(verb):
    with pytest.raises(UnknownSchedule, match="nobody"):
        verb()

    assert ScheduleChange.objects.count() == 0


def test_a_pause_says_who_and_why(nightly):
    control.pause("nightly", by="ann", note="  the vendor\nis down\x00 ")

    row = Schedule.objects.get()
    assert row.is_paused
    assert (row.paused_by, row.pause_note) == ("ann", "the vendor is down\N{REPLACEMENT CHARACTER}")
    assert (last_change().verb, last_change().note) == ("paused", row.pause_note)


def test_a_second_pause_keeps_since_when_and_says_the_new_reason(nightly):
    since = control.pause("nightly", by="ann", note="one").paused_at

    control.pause("nightly", by="bob", note="n" * 600)

    row = Schedule.objects.get()
    assert (row.paused_at, row.paused_by) == (since, "bob")
    assert row.pause_note == "n" * 500


def test_a_resumed_schedule_goes_on_with_its_next_moment(nightly):
    control.pause("nightly", by="ann", note="one")

    control.resume("nightly", by="bob", note="up again")

    row = Schedule.objects.get()
    assert (row.is_paused, row.paused_by, row.pause_note) == (False, "", "")
    assert row.next_at == nightly.next_at
    assert (last_change().verb, last_change().by) == ("resumed", "bob")


def test_what_came_in_a_pause_that_no_scheduler_saw_stays_skipped(nightly):
    control.pause("nightly", by="ann", note="the vendor is down")
    miss()

    control.resume("nightly", by="ann")

    run = ScheduleRun.objects.get()
    assert run.outcome == "skipped"
    assert "the vendor is down" in run.reason
    assert JobStatus.objects.count() == 0
    assert Schedule.objects.get().next_at > timezone.now()


def test_resuming_what_is_not_paused_leaves_no_trace(nightly):
    control.resume("nightly", by="bob")

    assert [change.verb for change in ScheduleChange.objects.all()] == ["created"]


def test_a_run_of_now_is_one_beside_those_of_the_rule(nightly):
    before = timezone.now()

    run = control.run_now("nightly", by="ann")

    job = JobStatus.objects.get()
    assert (run.kind, run.made_by, run.outcome, run.job) == ("manual", "ann", "dispatched", job)
    assert abs(run.logical_time - before) < timedelta(minutes=1)
    assert (job.schedule, job.logical_time) == ("nightly", run.logical_time)
    assert (job.params, job.queue) == ({"value": "x"}, "low")
    assert Schedule.objects.get().next_at == nightly.next_at
    assert last_change().what == {"logical_time": [None, run.logical_time.isoformat()]}


def test_a_run_may_have_other_params(nightly):
    control.run_now("nightly", by="ann", params={"value": "of {logical_date}"})

    assert JobStatus.objects.get().params["value"].startswith("of 2")
    assert Schedule.objects.get().params == {"value": "x"}
    assert last_change().what["params"] == [{"value": "x"}, {"value": "of {logical_date}"}]


def test_a_paused_or_disabled_schedule_can_be_run(nightly):
    control.change("nightly", {**NIGHTLY, "enabled": False}, by="ann")
    control.pause("nightly", by="ann")

    assert control.run_now("nightly", by="ann").outcome == "dispatched"


def test_a_run_with_wrong_params_is_refused_by_param_and_leaves_nothing(nightly):
    with pytest.raises(InvalidParams) as refused:
        control.run_now("nightly", by="ann", params={"valeu": "x"})

    assert "valeu" in [fault["param"] for fault in refused.value.faults]
    assert ScheduleRun.objects.count() == JobStatus.objects.count() == 0
    assert last_change().verb == "created"


def test_a_run_of_a_class_that_is_gone_is_refused(nightly):
    Schedule.objects.update(job_class="Gone")

    with pytest.raises(UnknownJob):
        control.run_now("nightly", by="ann")

    assert ScheduleRun.objects.count() == 0


def test_the_history_of_a_run_shows_no_redacted_param():
    secret = {"job": "Secretive", "cron": "0 2 * * *"}
    control.create("n", {**secret, "params": {"user": "a", "password": "hunter22"}}, by="ann")

    control.run_now("n", by="ann", params={"user": "a", "password": "hunter33"})

    assert "params" in last_change("n").what
    assert "hunter" not in str([change.what for change in ScheduleChange.objects.all()])


@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_one_name_at_once_one_is_told_so():
    told, gate = [], threading.Barrier(2)

    def create(by):
        gate.wait()
        try:
            control.create("nightly", NIGHTLY, by=by)
        except ScheduleExists as error:
            told.append(str(error))
        finally:
            connection.close()

    people = [threading.Thread(target=create, args=[by]) for by in ("ann", "bob")]
    for person in people:
        person.start()
    for person in people:
        person.join()

    assert len(told) == 1
    assert Schedule.objects.count() == ScheduleChange.objects.count() == 1


def test_the_example_of_the_docs_does_what_it_says(settings):
    page = Path(settings.BASE_DIR, "docs", "schedules.md").read_text()
    example = (
        page.partition("## Pausing, running")[2].partition("```python\n")[2].partition("```")[0]
    )
    example = example.replace('"job": "SumUp"', '"job": "Echo", "params": {"value": "x"}')
    control.create("nightly-figures", NIGHTLY, by="ann")

    exec(example, {})  # noqa: S102 - our own page

    verbs = ScheduleChange.objects.order_by("id").values_list("schedule_name", "verb", "by")
    assert list(verbs)[1:] == [
        ("nightly-figures", "paused", "ann"),
        ("nightly-figures", "ran", "ann"),
        ("nightly-figures", "resumed", "ann"),
        ("weekly", "created", "ann"),
        ("weekly", "changed", "bob"),
        ("weekly", "deleted", "bob"),
    ]
