from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from jobs.models import Backfill, JobStatus, Schedule
from jobs.schedules.moments import cron
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


CONTRASTS = """
const light = ([r, g, b]) => {
  const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = rgb(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll(".job-run, .job-badge, .job-grid th")].map((element) => {
  const style = getComputedStyle(element);
  const [one, other] = [light(rgb(style.color)), light(ground(element))].sort((a, b) => b - a);
  return [element.className || element.tagName, (one + 0.05) / (other + 0.05)];
});
"""


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
def test_a_schedule_s_page_with_marks_that_stand_out_from_their_ground(
    screen, schedules, theme, name
):
    screen.log_in("demo")
    screen.choose_theme(theme)

    screen.open(f"/admin/jobs/schedule/{name}/change/")

    screen.keep(f"page-{name}-{theme}")
    assert screen.all(".job-grid .job-run-completed")
    poor = {name for name, ratio in screen.driver.execute_script(CONTRASTS) if ratio < 4.5}
    assert poor == set()


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_typed_into_the_form_is_read_at_once(screen, theme):
    screen.log_in("demo")
    screen.choose_theme(theme)
    screen.open("/admin/jobs/schedule/add/?job=ImportCsv")

    screen.fill("name", "nightly")
    screen.fill("cron", "0 2 * * mon-fri")
    screen.fill("timezone", "Europe/Berlin")
    screen.shows("At 02:00, Monday through Friday")
    screen.keep(f"form-{theme}")
    screen.fill("cron", "0 25 * * *")
    screen.shows("is no cron line")
    screen.keep(f"form-fault-{theme}")


def test_a_schedule_is_made_paused_and_resumed_by_hand(screen):
    screen.log_in("demo")
    screen.open("/admin/jobs/schedule/add/")
    assert not screen.find(".job-choose").is_displayed()

    screen.find("[name=job] option[value=Echo]").click()
    screen.until(lambda: screen.all("[name=param-value]"))
    screen.fill("name", "nightly")
    screen.fill("cron", "0 2 * * *")
    screen.fill("param-value", "of {logical_date}")
    screen.press(".submit-row [type=submit]")
    assert "Schedule nightly is saved." in screen.text
    screen.press(".job-actions [href$='/pause/']")
    screen.fill("note", "The disk is full")
    screen.press(".submit-row [type=submit]")

    assert "The disk is full" in screen.find(".job-note").text
    assert screen.find(".job-head .job-badge").text == "paused"
    screen.keep("page-paused")
    screen.press(".job-actions form button")
    assert "Schedule nightly goes on." in screen.text
    assert Schedule.objects.get().params == {"value": "of {logical_date}"}


def test_missing_moments_are_marked_by_range_and_backfilled(screen, schedules):
    name = "nightly-import"
    screen.log_in("demo")
    screen.open(f"/admin/jobs/schedule/{name}/change/")
    button = screen.find("#backfill-marked")
    boxes = screen.all(".job-grid input[type=checkbox]")
    assert not button.is_enabled()

    boxes[1].click()
    ActionChains(screen.driver).key_down(Keys.SHIFT).click(boxes[4]).key_up(Keys.SHIFT).perform()
    screen.shows("4 cells marked")
    screen.keep("page-marked")
    screen.press("#backfill-marked")
    screen.keep("backfill")
    assert "4 of 4 moments would be made." in screen.text
    screen.press("[name=start]")

    made = Backfill.objects.get()
    assert (made.schedule_name, made.total, made.made_by) == (name, 4, "demo")
    assert f"Backfill {made.id} is started" in screen.text
    screen.keep("page-backfilling")
    screen.press("#backfills form button")
    assert f"Backfill {made.id} is stopped." in screen.text


def test_all_missing_moments_are_marked_with_one_button(screen, schedules):
    screen.log_in("demo")
    screen.open("/admin/jobs/schedule/nightly-import/change/")
    boxes = screen.all(".job-grid input[type=checkbox]")

    screen.find("#mark-all").click()
    screen.shows(f"{len(boxes)} cells marked")
    screen.find("#mark-all").click()

    screen.until(lambda: not any(box.is_selected() for box in boxes))


def test_the_calendar_is_walked_with_the_arrow_keys(screen, schedules):
    screen.log_in("demo")
    screen.open("/admin/jobs/schedule/nightly-import/change/")
    stops = screen.all(".job-grid [tabindex='0']")
    assert len(stops) == 1

    def focused():
        return screen.driver.switch_to.active_element.get_attribute("aria-label")

    screen.driver.execute_script("arguments[0].focus()", stops[0])
    first = focused()
    stops[0].send_keys(Keys.ARROW_UP)
    week_before = focused()
    screen.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)

    assert "02:00 EST: completed" in week_before
    assert first != week_before
    assert focused() == first
    screen.driver.switch_to.active_element.send_keys(Keys.ENTER)
    screen.shows("It completed")


def test_a_page_with_a_living_run_brings_its_end_by_itself(screen, schedules):
    screen.log_in("demo")
    screen.open("/admin/jobs/schedule/hourly-rates/change/")
    assert screen.all(".job-grid .job-run-started")

    running = JobStatus.objects.filter(status=Status.STARTED)
    running.update(status=Status.FAILED, finished_at=timezone.now())

    screen.until(lambda: not screen.all(".job-grid .job-run-started"))


def test_a_narrow_window_cuts_nothing_off(screen, schedules):
    screen.log_in("demo")
    screen.driver.set_window_size(500, 900)
    ways = [
        "", "add/", "ping/change/", "month-end-report/change/", "month-end-report/edit/",
        "nightly-import/change/", "hourly-rates/change/", "hourly-rates/change/?view=day",
        "nightly-import/history/", "nightly-import/backfill/", "nightly-import/run/",
    ]  # fmt: skip

    for way in ways:
        screen.open(f"/admin/jobs/schedule/{way}")
        widths = "return [document.scrollingElement.scrollWidth, window.innerWidth]"
        scrolled, seen = screen.driver.execute_script(widths)
        assert scrolled <= seen, way
