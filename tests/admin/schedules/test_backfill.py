from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Backfill, ScheduleChange
from jobs.schedules import backfill
from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.histories import make_run, make_schedule

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

PAGE = "/admin/jobs/schedule/nightly/change/"
FORM = "/admin/jobs/schedule/nightly/backfill/"
WISH = {"first": "2026-11-01", "last": "2026-11-07", "only": "missing", "max_active": "2"}


def night(day, schedule=None):
    return timezone.now().replace(2026, 11, day, 2, 0, 0, 0)


@pytest.fixture
def schedule(db):
    found = make_schedule()
    make_run(found, night(2))
    make_run(found, night(3), Status.FAILED)
    make_run(found, night(4), "skipped", reason="The run before still goes on.")
    return found


def test_the_plan_says_what_would_be_made_and_makes_nothing(boss, schedule):
    html = boss.get(FORM, WISH).content.decode()

    assert "<strong>5</strong> of 7 moments would be made." in html
    assert "5 without a job" in html
    assert "Sun 1 Nov 2026, 02:00 UTC" in html
    assert "1 failed or cancelled" in html
    assert not Backfill.objects.exists()


def test_a_look_at_other_wishes_starts_nothing(boss, schedule):
    html = boss.post(FORM, WISH | {"only": "failed"}).content.decode()

    assert "<strong>1</strong> of 7 moments would be made." in html
    assert not Backfill.objects.exists()


def test_the_button_starts_it(boss, schedule):
    answer = boss.post(FORM, WISH | {"newest_first": "on", "start": "Start"}, follow=True)

    made = Backfill.objects.get()
    assert (made.from_at, made.to_at) == (night(1) - timedelta(hours=2), night(8) - timedelta(
        hours=2, microseconds=1
    ))  # fmt: skip
    assert (made.only, made.max_active, made.newest_first) == ("missing", 2, True)
    assert (made.made_by, made.status) == ("boss", "running")
    assert answer.redirect_chain[-1][0] == PAGE
    assert "0 of 7" in answer.content.decode()
    assert ScheduleChange.objects.get().verb == "backfilled"


def test_marked_cells_are_the_stretch_from_the_first_to_the_last(boss, schedule):
    page = boss.get(PAGE, {"view": "weeks", "until": "2026-11-08"}).content.decode()
    spans = [f"{night(day).isoformat()}/{night(day).isoformat()}" for day in (6, 5)]

    html = boss.get(FORM, {"span": spans}).content.decode()

    for span in spans:
        assert f'name="span" value="{span}"' in page
    assert 'value="2026-11-05T02:00:00+00:00"' in html
    assert 'value="2026-11-06T02:00:00+00:00"' in html
    assert "<strong>2</strong> of 2 moments would be made." in html
    assert "every moment from the first to the last that was marked" in html


def test_the_period_s_missing_and_failed_ones_are_one_click_away(boss, schedule):
    page = boss.get(PAGE, {"view": "weeks", "until": "2026-11-08"}).content.decode()

    for only in ("missing", "failed"):
        address = f"{FORM}?first=2026-09-14&amp;last=2026-11-08&amp;only={only}"
        assert address in page
        assert "would be made" in boss.get(address.replace("&amp;", "&")).content.decode()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"first": "soon"}, "is neither a date"),
        ({"first": ""}, "This field is required."),
        ({"first": "2026-11-08"}, "It ends before it begins"),
        ({"last": "2999-01-01"}, "is yet to come"),
        ({"max_active": "0"}, "greater than or equal to 1"),
        ({"only": "some"}, "Select a valid choice"),
        ({"first": "2026-11-01T03:00", "last": "2026-11-01T04:00"}, "has no moment"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_wish_that_makes_no_sense_is_told_and_starts_nothing(boss, schedule, wish, words, method):
    html = getattr(boss, method)(FORM, WISH | wish | {"start": "Start"}).content.decode()

    assert words in html
    assert not Backfill.objects.exists()


@pytest.mark.parametrize("span", ["", "x/y", "2026-13-01/2026-13-02", "2026-11-01T02:00/x", "\x00"])
def test_marks_that_make_no_sense_are_no_server_error(boss, schedule, span):
    assert boss.get(FORM, {"span": span}).status_code == 200


def test_a_second_one_beside_a_running_one_is_refused(boss, schedule):
    boss.post(FORM, WISH | {"start": "Start"})

    html = boss.post(FORM, WISH | {"start": "Start"}).content.decode()

    assert "is running: wait for its end, or stop it." in html
    assert Backfill.objects.count() == 1


def test_a_running_one_is_stopped_and_continued_from_the_page(boss, schedule):
    boss.post(FORM, WISH | {"start": "Start"})
    made = Backfill.objects.get()
    stop, go_on = (f"{FORM}{made.id}/{verb}/" for verb in ("stop", "continue"))

    before = boss.get(PAGE).content.decode()
    stopped = boss.post(stop, follow=True).content.decode()
    again = boss.post(stop, follow=True).content.decode()
    continued = boss.post(go_on, follow=True).content.decode()

    assert f'action="{stop}"' in before
    assert f"Backfill {made.id} is stopped." in stopped
    assert f'action="{go_on}"' in stopped
    assert "is stopped, not running" in again
    assert f"Backfill {made.id} is continued." in continued
    assert Backfill.objects.get().status == "running"


def test_progress_is_told(boss, schedule):
    wanted = backfill.Wanted(schedule_name="nightly", from_at=night(1), to_at=night(7))
    made = backfill.start(wanted, by="olga")
    Backfill.objects.filter(id=made.id).update(made=2, passed=1, looked_at=timezone.now())
    make_run(schedule, night(5), kind="backfill", backfill=made)
    make_run(schedule, night(6), Status.STARTED, kind="backfill", backfill=made)

    html = boss.get(PAGE).content.decode()

    assert "2 of 7" in html
    assert "1 completed, 1 going on, 1 passed over" in html
    assert "No scheduler looks after it" not in html


def test_one_that_no_scheduler_looks_after_says_so(boss, schedule):
    wanted = backfill.Wanted(schedule_name="nightly", from_at=night(1), to_at=night(7))
    made = backfill.start(wanted, by="olga")
    long_ago = timezone.now() - timedelta(minutes=5)
    Backfill.objects.filter(id=made.id).update(looked_at=long_ago)

    assert "No scheduler looks after it" in boss.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        (["view_schedule"], False),
        (["change_schedule"], False),
        (["view_schedule", "run_echo"], False),
        (["change_schedule", "run_sleep"], False),
        (["change_schedule", "run_echo"], True),
    ],
)
def test_it_asks_for_the_right_to_change_schedules_and_to_run_the_class(schedule, rights, may):
    client = browser(person("pat", *(f"jobs.{right}" for right in rights)))
    page = client.get(PAGE).content.decode()

    shown = client.get(FORM, WISH).status_code
    client.post(FORM, WISH | {"start": "Start"})

    assert (shown == 200) == may
    assert Backfill.objects.exists() == may
    assert ('id="backfill"' in page) == may
    assert ('name="span"' in page) == may


def test_steering_asks_for_the_same_rights(boss, schedule):
    boss.post(FORM, WISH | {"start": "Start"})
    made = Backfill.objects.get()
    changer = browser(person("pat", "jobs.change_schedule"))
    runner = browser(person("rosa", "jobs.view_schedule", "jobs.run_echo"))

    assert runner.post(f"{FORM}{made.id}/stop/").status_code == 403
    assert changer.post(f"{FORM}{made.id}/continue/").status_code == 403
    assert boss.get(f"{FORM}{made.id}/stop/").status_code == 403
    assert boss.post(f"{FORM}{made.id}/explode/").status_code == 404
    assert boss.post(f"{FORM}{made.id + 1}/stop/").status_code == 404
    make_schedule(name="other")
    assert boss.post(f"/admin/jobs/schedule/other/backfill/{made.id}/stop/").status_code == 404
    assert Backfill.objects.get().status == "running"
    assert f'action="{FORM}{made.id}/stop/"' in changer.get(PAGE).content.decode()
    assert changer.post(f"{FORM}{made.id}/stop/").status_code == 302
    assert f'action="{FORM}{made.id}/continue/"' not in changer.get(PAGE).content.decode()
    assert Backfill.objects.get().status == "stopped"
