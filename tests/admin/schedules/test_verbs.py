from __future__ import annotations

import re

import pytest
from django.utils import timezone

from jobs.models import JobStatus, Schedule, ScheduleChange, ScheduleRun
from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.histories import make_run, make_schedule

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

PAGE = "/admin/jobs/schedule/nightly/change/"
RUN = "/admin/jobs/schedule/nightly/run/"
PAUSE = "/admin/jobs/schedule/nightly/pause/"
RESUME = "/admin/jobs/schedule/nightly/resume/"
DELETE = "/admin/jobs/schedule/nightly/delete/"


def messages_of(answer):
    return [str(message) for message in answer.context["messages"]]


def test_a_schedule_of_the_settings_is_paused_with_a_note_and_resumed(boss):
    make_schedule()

    paused = boss.post(PAUSE, {"note": "The disk is full"}, follow=True)
    schedule = Schedule.objects.get()
    resumed = boss.post(RESUME, follow=True)

    assert messages_of(paused) == ["Schedule nightly is paused."]
    assert re.search("boss paused it .*: The disk is full", paused.content.decode())
    assert (schedule.paused_by, schedule.pause_note) == ("boss", "The disk is full")
    assert messages_of(resumed) == ["Schedule nightly goes on."]
    assert not Schedule.objects.get().is_paused
    assert list(ScheduleChange.objects.order_by("id").values_list("verb", "by", "note")) == [
        ("paused", "boss", "The disk is full"),
        ("resumed", "boss", ""),
    ]


def test_a_look_changes_nothing(boss):
    make_schedule(source="admin")

    answers = [boss.get(address) for address in (PAUSE, RUN, DELETE)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert boss.get(RESUME).status_code == 403
    assert not ScheduleChange.objects.exists()
    assert not ScheduleRun.objects.exists()


def test_the_note_of_a_pause_can_be_corrected(boss):
    make_schedule(paused_at=timezone.now(), paused_by="olga", pause_note="The dsik is full")

    assert 'value="The dsik is full"' in boss.get(PAUSE).content.decode()


def test_run_now_shows_the_schedule_s_params_and_takes_others(boss):
    make_schedule(params={"value": "of {logical_date}"})

    form = boss.get(RUN).content.decode()
    answer = boss.post(RUN, {"param-value": "another"}, follow=True)

    assert 'value="of {logical_date}"' in form
    job = JobStatus.objects.get()
    run = ScheduleRun.objects.get()
    assert (job.params, job.queue, job.schedule) == ({"value": "another"}, "low", "nightly")
    assert (run.kind, run.made_by, run.job_id) == ("manual", "boss", job.id)
    assert answer.redirect_chain[-1][0] == f"/admin/jobs/jobstatus/{job.id}/change/"
    assert Schedule.objects.get().params == {"value": "of {logical_date}"}


def test_a_name_in_braces_stands_for_the_moment_of_the_run(boss):
    make_schedule(params={"value": "of {logical_date}"})

    boss.post(RUN, {"param-value": "of {logical_date}"})

    run = ScheduleRun.objects.get()
    assert JobStatus.objects.get().params == {"value": f"of {run.logical_time:%Y-%m-%d}"}


def test_a_paused_schedule_runs_now_all_the_same(boss):
    make_schedule(paused_at=timezone.now())

    boss.post(RUN, {"param-value": "x"})

    assert JobStatus.objects.count() == 1


def test_bad_params_are_told_at_their_fields_and_make_nothing(boss):
    make_schedule(job_class="Sleep", params={"seconds": 1})

    html = boss.post(RUN, {"param-seconds": "soon"}).content.decode()

    assert "Please correct what is marked below." in html
    assert 'value="soon"' in html
    assert not ScheduleRun.objects.exists()


def test_a_secret_is_never_shown_and_stays_where_nothing_is_changed(boss):
    make_schedule(job_class="Secretive", params={"user": "alice", "password": "correct horse"})

    form = boss.get(RUN).content.decode()
    boss.post(RUN, {"param-user": "alice", "param-password": ""})

    assert "correct horse" not in form
    assert JobStatus.objects.get().params == {"user": "alice", "password": "correct horse"}


def test_a_secret_must_be_typed_again_where_something_else_is_changed(boss):
    make_schedule(job_class="Secretive", params={"user": "alice", "password": "correct horse"})

    html = boss.post(RUN, {"param-user": "mallory", "param-password": ""}).content.decode()
    boss.post(RUN, {"param-user": "bob", "param-password": "battery"})

    assert "Type it again: other params are changed." in html
    assert [job.params["user"] for job in JobStatus.objects.all()] == ["bob"]


def test_what_is_shown_in_the_place_of_a_secret_is_not_run(boss):
    make_schedule(job_class="Secretive", params={"user": "alice", "password": "correct horse"})

    typed = {"param-user": "alice", "param-password": "[redacted]"}
    html = boss.post(RUN, typed).content.decode()

    assert "as a secret is shown: write the secret itself" in html
    assert not ScheduleRun.objects.exists()


def test_a_schedule_of_the_admin_is_deleted_and_its_runs_are_kept(boss):
    make_run(make_schedule(source="admin"), timezone.now(), Status.COMPLETED)

    answer = boss.post(DELETE, follow=True)

    assert not Schedule.objects.exists()
    assert (ScheduleRun.objects.count(), JobStatus.objects.count()) == (1, 1)
    assert messages_of(answer) == ["Schedule nightly is deleted; its runs and jobs are kept."]
    assert boss.get("/admin/jobs/schedule/nightly/history/").status_code == 200


def test_one_of_the_settings_is_not_deleted(boss):
    make_schedule()

    assert boss.get(DELETE).status_code == 403
    assert boss.post(DELETE).status_code == 403
    assert Schedule.objects.exists()


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        (["view_schedule"], set()),
        (["view_schedule", "run_echo"], {RUN}),
        (["change_schedule"], {PAUSE, RESUME, DELETE}),
        (["change_schedule", "run_sleep"], {PAUSE, RESUME, DELETE}),
        (["change_schedule", "add_jobstatus"], {PAUSE, RESUME, DELETE, RUN}),
        (["run_echo", "add_schedule", "delete_schedule"], set()),
    ],
)
def test_each_verb_asks_for_its_right(rights, may):
    make_schedule(source="admin")
    client = browser(person("pat", *(f"jobs.{right}" for right in rights)))
    page = client.get(PAGE).content.decode()

    done = {address for address in (RUN, PAUSE, RESUME) if client.post(address).status_code < 400}
    if client.get(DELETE).status_code == 200 and client.post(DELETE).status_code == 302:
        done.add(DELETE)

    assert done == may
    for address in (RUN, PAUSE, DELETE):
        assert (f'href="{address}"' in page) == (address in may)


def test_who_may_not_see_schedules_does_nothing_to_them(viewer):
    make_schedule(source="admin")

    answers = [viewer.post(address) for address in (RUN, PAUSE, RESUME, DELETE)]

    assert {answer.status_code for answer in answers} == {403}
    assert not ScheduleChange.objects.exists()


@pytest.mark.parametrize("verb", ["run", "pause", "resume", "edit", "backfill", "delete"])
def test_a_verb_on_a_schedule_that_is_gone_is_404(boss, verb):
    assert boss.post(f"/admin/jobs/schedule/gone/{verb}/").status_code == 404
