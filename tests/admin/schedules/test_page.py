from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.histories import make_run, make_schedule

pytestmark = pytest.mark.django_db

PAGE = "/admin/jobs/schedule/nightly/change/"


def test_a_schedule_s_page_tells_what_it_is(boss):
    make_schedule(overlap="cancel_running", catch_up="2h", jitter=timedelta(seconds=30))

    html = boss.get(PAGE).content.decode()

    for words in (
        "At 02:00",
        "<code>0 2 * * *</code>",
        "cancel running",
        "The run before is cancelled",
        "Missed moments of the last 2h are made",
        "up to 30 s later",
        "settings.JOB_SCHEDULES[&#x27;nightly&#x27;]",
    ):
        assert words in html


@pytest.mark.parametrize("steps", ["x", [1], 5, {"a": 1}, {"a": {"after": ["b"]}}])
@pytest.mark.parametrize("page", ["/admin/jobs/schedule/", PAGE, PAGE.replace("change", "edit")])
def test_steps_that_somebody_made_unreadable_break_no_page(boss, steps, page):
    make_schedule(source="admin", job_class="", params={}, steps=steps)

    assert boss.get(page).status_code == 200


FAN_IN = {
    "tell": {"job": "Echo", "after": ["sum", "a"]},
    "a": {"job": "Echo"},
    "sum": {"job": "Echo", "after": ["a", "b"]},
    "b": {"job": "Echo"},
}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crons": ["0 1 * * mon-fri", "0 12 * * 6"]}, "Monday through Friday; At 12:00, only on"),
        ({"crons": [], "every": timedelta(minutes=90)}, "Every 1 h 30 min"),
        ({"crons": ["not a cron"]}, "not a cron"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"paused_at": timezone.now(), "paused_by": "olga"}, "olga paused it"),
        ({"enabled": False}, "It is off"),
        ({"job_class": "Gone"}, "No job class is named Gone"),
        ({"next_at": None}, "no moment to come"),
        ({"job_class": "", "steps": {"a": {"job": "Echo"}, "b": {"job": "Echo"}}}, "a, b"),
        ({"job_class": "", "steps": FAN_IN}, "a, b → sum → tell"),
    ],
)
def test_every_kind_of_schedule_has_a_page(boss, fields, words):
    make_schedule(**fields)

    page = boss.get(PAGE)

    assert page.status_code == 200
    assert words in page.content.decode()


def test_the_next_five_moments_are_in_the_schedule_s_zone(boss):
    make_schedule(timezone="Asia/Tokyo")

    html = boss.get(PAGE).content.decode()

    assert html.count("02:00 JST</time>") == 5


def test_a_schedule_s_secret_params_are_hidden(boss):
    make_schedule(job_class="Secretive", params={"user": "alice", "password": "correct horse"})

    html = boss.get(PAGE).content.decode()

    assert "alice" in html
    assert "correct horse" not in html


def test_each_run_on_the_calendar_leads_to_its_job(boss):
    schedule = make_schedule()
    at = (timezone.now() - timedelta(days=3)).replace(hour=2, minute=0, second=0, microsecond=0)
    run = make_run(schedule, at, Status.FAILED, length=timedelta(seconds=90))

    html = boss.get(PAGE).content.decode()

    assert f'href="/admin/jobs/jobstatus/{run.job_id}/change/"' in html
    assert "02:00 UTC: failed, after 1 min 30 s" in html
    assert "job-run-missing" in html


@pytest.mark.parametrize("view", ["day", "days", "weeks", "year", "nonsense", "\x00"])
@pytest.mark.parametrize(
    "until", ["2026-03-29", "9999-12-31", "0001-01-01", "tomorrow", "2026-02-30"]
)
def test_every_view_opens_whatever_is_asked_for(boss, view, until):
    schedule = make_schedule(timezone="Europe/Berlin")
    make_run(schedule, timezone.now())

    answer = boss.get(PAGE, {"view": view, "until": until})

    assert answer.status_code == 200
    assert 'class="job-grid job-grid-' in answer.content.decode()


@pytest.mark.parametrize(
    ("every", "status", "is_living"),
    [(30, Status.COMPLETED, True), (86_400, Status.STARTED, True), (86_400, Status.FAILED, False)],
)
def test_the_page_brings_news_while_something_may_happen(boss, every, status, is_living):
    now = timezone.now()
    start = {
        "start_at": now - timedelta(seconds=10),
        "crons": [],
        "every": timedelta(seconds=every),
    }
    make_run(make_schedule(**start), now, status)

    html = boss.get(PAGE).content.decode()

    assert ("data-living" in html) == is_living


def test_a_job_s_page_leads_to_its_schedule(boss):
    run = make_run(make_schedule(), timezone.now())

    html = boss.get(f"/admin/jobs/jobstatus/{run.job_id}/change/").content.decode()

    assert f'<a href="{PAGE}">nightly</a>, for <time' in html


def test_a_cell_of_many_runs_leads_to_a_closer_look(boss):
    schedule = make_schedule(crons=["*/10 * * * *"])
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    make_run(schedule, hour)
    make_run(schedule, hour + timedelta(minutes=10), Status.FAILED)

    html = boss.get(PAGE, {"view": "days"}).content.decode()

    assert f'href="?view=day&amp;until={hour.date()}"' in html
    assert "1 completed, 1 failed, 4 without a run" in html


def test_the_page_costs_the_same_however_much_happened(boss, django_assert_num_queries):
    schedule = make_schedule(crons=["0 * * * *"])
    for i in range(40):
        make_run(schedule, timezone.now() - timedelta(hours=i))

    # Session, person, the schedule, the time, the runs of the period, the first run, the changes,
    # the backfills.
    with django_assert_num_queries(8):
        boss.get(PAGE)


@pytest.mark.parametrize("name", ["gone", "a_5Fb", "%00"])
def test_a_schedule_that_is_gone_is_404(boss, name):
    assert boss.get(f"/admin/jobs/schedule/{name}/change/").status_code == 404


def test_a_name_with_an_underscore_has_a_page(boss):
    make_schedule(name="nightly_import")

    html = boss.get("/admin/jobs/schedule/").content.decode()

    assert 'href="/admin/jobs/schedule/nightly_5Fimport/change/"' in html
    assert boss.get("/admin/jobs/schedule/nightly_5Fimport/change/").status_code == 200


def test_only_who_may_see_schedules_sees_a_page(viewer):
    make_schedule()

    assert viewer.get(PAGE).status_code == 403
    assert browser(person("vera", "jobs.view_schedule")).get(PAGE).status_code == 200


def test_run_now_is_offered_to_who_may_run_the_class():
    make_schedule()
    link = "/admin/jobs/schedule/nightly/run/"
    may = browser(person("rosa", "jobs.view_schedule", "jobs.run_echo"))
    may_not = browser(person("victor", "jobs.view_schedule"))

    assert link in may.get(PAGE).content.decode()
    assert link not in may_not.get(PAGE).content.decode()
