from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.histories import make_run, make_schedule

pytestmark = pytest.mark.django_db

LIST = "/admin/jobs/schedule/"


def names(answer):
    return [schedule.name for schedule in answer.context["cl"].result_list]


def test_a_schedule_is_told_in_words_with_its_next_and_last_run(boss):
    schedule = make_schedule(timezone="America/New_York")
    run = make_run(schedule, timezone.now() - timedelta(hours=2), Status.FAILED)

    html = boss.get(LIST).content.decode()

    for word in ("At 02:00", "America/New_York", "in 2 h 59 min", "2 h ago", "job-badge-failed"):
        assert word in html
    assert f"/admin/jobs/jobstatus/{run.job_id}/change/" in html


def test_a_moment_is_told_in_the_schedule_s_own_zone(boss):
    next_at = timezone.now().replace(hour=7, minute=0, second=0) + timedelta(days=30)
    make_schedule(timezone="Asia/Tokyo", next_at=next_at)

    html = boss.get(LIST).content.decode()

    assert "16:00 JST" in html


def test_a_schedule_that_is_off_has_no_next_run(boss):
    make_schedule(enabled=False)

    html = boss.get(LIST).content.decode()

    assert "in 2 h" not in html
    assert 'job-badge-off">off<' in html


def test_a_paused_schedule_says_who_paused_it_and_why(boss):
    paused_at = timezone.now() - timedelta(hours=5)
    make_schedule(paused_at=paused_at, paused_by="olga", pause_note="<b>The disk</b> is full")

    html = boss.get(LIST).content.decode()

    assert 'job-badge-paused">paused<' in html
    assert "by olga, 5 h ago: &lt;b&gt;The disk&lt;/b&gt; is full" in html


def test_a_strip_shows_each_run_with_its_words_and_its_way(boss):
    schedule = make_schedule()
    now = timezone.now()
    done = make_run(schedule, now - timedelta(hours=3), length=timedelta(minutes=2))
    skipped = make_run(schedule, now - timedelta(hours=2), "skipped", reason="It still runs.")

    html = boss.get(LIST).content.decode()

    assert 'aria-label="Last 2 runs: 1 completed, 1 skipped"' in html
    assert f'job-run-completed" href="/admin/jobs/jobstatus/{done.job_id}/change/"' in html
    assert ": completed, after 2 min" in html
    assert f'job-run-skipped" href="/admin/jobs/schedulerun/{skipped.id}/change/"' in html
    assert ": skipped, It still runs." in html


def test_who_may_not_see_jobs_is_led_to_none():
    run = make_run(make_schedule(), timezone.now())
    html = browser(person("victor", "jobs.view_schedule")).get(LIST).content.decode()

    assert "job-run-completed" in html
    assert str(run.job_id) not in html


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "active"}, ["failing", "never", "running"]),
        ({"state": "paused"}, ["paused"]),
        ({"state": "off"}, ["off"]),
        ({"source": "admin"}, ["paused"]),
        ({"last": "failed"}, ["failing"]),
        ({"last": "living"}, ["running"]),
        ({"last": "skipped"}, ["paused"]),
        ({"last": "never"}, ["never", "off"]),
        ({"last": "failed", "state": "paused"}, []),
        ({"q": "fail"}, ["failing"]),
    ],
)
def test_the_list_is_narrowed(boss, query, expected):
    now = timezone.now()
    failing = make_schedule(name="failing")
    make_run(failing, now - timedelta(hours=2))
    make_run(failing, now - timedelta(hours=1), Status.FAILED)
    make_run(make_schedule(name="running"), now, Status.STARTED)
    make_run(make_schedule(name="paused", source="admin", paused_at=now), now, "skipped")
    make_schedule(name="off", enabled=False)
    make_schedule(name="never")

    assert names(boss.get(LIST, query)) == expected


@pytest.mark.parametrize("count", [1, 40])
def test_the_list_costs_the_same_however_long_it_is(boss, django_assert_num_queries, count):
    for i in range(count):
        make_run(make_schedule(name=f"s{i}"), timezone.now())

    # Session, person, the number of schedules, the schedules, their runs.
    with django_assert_num_queries(5):
        assert boss.get(LIST).status_code == 200


def test_the_runs_of_a_schedule_are_listed_with_what_became_of_them(boss):
    schedule = make_schedule()
    run = make_run(schedule, timezone.now(), Status.FAILED)
    make_run(schedule, timezone.now(), "dispatched", kept_status="cancelled")

    html = boss.get("/admin/jobs/schedulerun/", {"schedule_name": "nightly"}).content.decode()

    assert f"/admin/jobs/jobstatus/{run.job_id}/change/" in html
    assert "job-badge-cancelled" in html
