from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.schedules import cron
from jobs.schedules.rules import rule_of
from jobs.statuses import Status
from tests.histories import make_run, make_schedule

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]

THEMES = ("light", "dark")


def fill(schedule, since, outcomes):
    """Make runs of a schedule's moments since then, with these outcomes over and over."""
    rule, now = rule_of(schedule), timezone.now()
    moments = list(cron.moments(rule, after=since, until=now))
    for i, moment in enumerate(moments):
        status = outcomes[i % len(outcomes)]
        if status is not None:
            length = timedelta(seconds=20 + 37 * (i % 7))
            reason = "The run before still goes on." if status == "skipped" else ""
            make_run(schedule, moment, status, length=length, reason=reason)
    schedule.next_at = cron.next_after(rule, now)
    schedule.save()


@pytest.fixture
def schedules():
    now = timezone.now()
    nightly = make_schedule(
        name="nightly-import", crons=["0 2 * * *"], timezone="America/New_York", queue="etl"
    )
    fill(nightly, now - timedelta(days=45), ["completed"] * 9 + ["failed", None, "completed"])
    hourly = make_schedule(
        name="hourly-rates", crons=["15 * * * *"], timezone="Europe/Berlin", job_class="Sleep"
    )
    fill(
        hourly,
        now - timedelta(days=9),
        ["completed"] * 11 + ["skipped", "completed", None, "failed"],
    )
    make_run(hourly, now - timedelta(seconds=70), Status.STARTED, kind="manual", made_by="olga")
    often = make_schedule(name="ping", crons=[], every=timedelta(minutes=5), timezone="UTC")
    fill(often, now - timedelta(hours=20), ["completed"] * 30 + ["cancelled", "refused"])
    yearly = make_schedule(
        name="month-end-report", crons=["0 6 1 * *", "30 18 15 * *"], timezone="Asia/Tokyo",
        source="admin", paused_at=now - timedelta(hours=5), paused_by="olga",
        pause_note="The accounts of November are not closed yet",
    )  # fmt: skip
    fill(yearly, now - timedelta(days=300), ["completed", "completed", "failed"])
    make_schedule(name="off", enabled=False, next_at=None)
    return {s.name: s for s in (nightly, hourly, often, yearly)}


@pytest.mark.parametrize("theme", THEMES)
def test_the_list_of_schedules(screen, schedules, theme):
    screen.log_in("demo")
    screen.choose_theme(theme)

    screen.open("/admin/jobs/schedule/")

    screen.keep(f"list-{theme}")
    for words in ("At 02:00", "America/New_York", "Every 5 min", "not closed yet"):
        assert words in screen.text
    assert len(screen.all(".field-strip .job-bar")) == 30 + 30 + 30 + 20


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["nightly-import", "hourly-rates", "ping", "month-end-report"])
def test_a_schedule_s_page(screen, schedules, theme, name):
    screen.log_in("demo")
    screen.choose_theme(theme)

    screen.open(f"/admin/jobs/schedule/{name}/change/")

    screen.keep(f"page-{name}-{theme}")
    assert screen.all(".job-grid .job-run-completed")
