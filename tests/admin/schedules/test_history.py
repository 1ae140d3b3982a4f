from __future__ import annotations

import pytest
from django.utils import timezone

from jobs.models import ScheduleChange
from tests.admin.conftest import browser, person
from tests.histories import make_schedule

pytestmark = pytest.mark.django_db

HISTORY = "/admin/jobs/schedule/nightly/history/"


def make_change(verb="changed", **fields):
    values = {"schedule_name": "nightly", "at": timezone.now(), "by": "olga", "verb": verb}
    return ScheduleChange.objects.create(**values | fields)


def test_the_history_says_who_changed_what_from_what_to_what(boss):
    make_schedule()
    make_change("created", by="settings", what={"cron": [None, ["0 1 * * *"]]})
    what = {"cron": [["0 1 * * *"], ["0 2 * * *", "0 3 * * *"]], "params": [None, {"value": "x"}]}
    make_change(what=what, note="<i>Later</i>")

    html = boss.get(HISTORY).content.decode()

    assert "<del>0 1 * * *</del>" in html
    assert "<ins>0 2 * * *; 0 3 * * *</ins>" in html
    assert "<ins>{&quot;value&quot;: &quot;x&quot;}</ins>" in html
    assert "&lt;i&gt;Later&lt;/i&gt;" in html
    assert html.index("olga") < html.index(">settings<")


@pytest.mark.parametrize(
    "what",
    [{}, {"enabled": [True, False]}, {"params": [{}, {"a": [1]}]}, {"x": 3}, {"x": [1]}, [1]],
)
def test_whatever_was_kept_is_shown(boss, what):
    make_schedule()
    make_change(what=what)

    assert boss.get(HISTORY).status_code == 200


def test_the_page_shows_the_newest_changes_and_leads_to_all(boss):
    make_schedule()
    for i in range(9):
        make_change(note=f"change number {i}.")

    html = boss.get("/admin/jobs/schedule/nightly/change/").content.decode()

    assert "change number 8." in html
    assert "change number 0." not in html
    assert f'href="{HISTORY}">All changes' in html


def test_a_long_history_has_pages(boss):
    make_schedule()
    for i in range(120):
        make_change(note=f"change number {i}.")

    first = boss.get(HISTORY).content.decode()
    older = first.partition('href="?before=')[2].partition('"')[0]
    second = boss.get(HISTORY, {"before": older}).content.decode()

    assert first.count("change number") == 100
    assert second.count("change number") == 20
    assert "change number 19." in second


@pytest.mark.parametrize("before", ["x", "9" * 30, "-1", "\x00"])
def test_a_page_that_makes_no_sense_is_the_first(boss, before):
    make_schedule()
    make_change(note="the only change")

    assert "the only change" in boss.get(HISTORY, {"before": before}).content.decode()


def test_a_schedule_that_is_gone_keeps_its_history(boss):
    make_change("deleted")

    html = boss.get(HISTORY).content.decode()

    assert "There is no schedule of this name any more." in html
    assert boss.get("/admin/jobs/schedule/never/history/").status_code == 404


def test_the_history_is_for_who_may_see_schedules(viewer):
    make_schedule()

    assert viewer.get(HISTORY).status_code == 403
    assert browser(person("vera", "jobs.view_schedule")).get(HISTORY).status_code == 200
