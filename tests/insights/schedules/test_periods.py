from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from jobs.insights.schedules.periods import DAYS_OF, View, layout, view_for

BERLIN = ZoneInfo("Europe/Berlin")
# Days on which the clocks are set, by an hour, by half of one, by two, by a day.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Pacific/Apia", date(2011, 12, 31)),
    ("UTC", date(2026, 1, 1)),
]


@pytest.mark.parametrize("view", list(View))
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_slots_cover_their_period_without_hole_or_overlap(view, zone, day):
    table = layout(view, day, ZoneInfo(zone), gap=timedelta(minutes=15))

    slots = [slot for slot in table.slots if slot.exists]

    assert all(earlier.end == later.start for earlier, later in pairwise(slots))
    assert {len(row) for _, row in table.rows} == {len(table.columns)}
    if view is not View.DAY:
        assert slots[-1].end - slots[0].start >= timedelta(days=DAYS_OF[view] - 1)


def test_a_day_has_a_row_for_each_hour_that_passes():
    short, long = (layout(View.DAY, day, BERLIN) for _, day in CHANGES[:2])

    assert [label for label, _ in short.rows[:3]] == ["00:00 CET", "01:00 CET", "03:00 CEST"]
    assert [label for label, _ in long.rows[1:4]] == ["01:00 CEST", "02:00 CEST", "02:00 CET"]
    assert (len(short.rows), len(long.rows)) == (23, 25)


def test_the_hour_that_spring_skips_is_an_empty_slot():
    table = layout(View.DAYS, date(2026, 3, 29), BERLIN)

    missing = [(label, slot.day) for label, row in table.rows for slot in row if not slot.exists]

    assert missing == [("02:00", date(2026, 3, 29))]


def test_the_hour_that_autumn_repeats_is_two_hours_long():
    table = layout(View.DAYS, date(2026, 10, 25), BERLIN)

    slot = dict(table.rows)["02:00"][-1]

    assert slot.start == datetime(2026, 10, 25, 0, tzinfo=UTC)
    assert slot.end - slot.start == timedelta(hours=2)


def test_weeks_begin_on_monday_and_hold_the_last_day():
    table = layout(View.WEEKS, date(2026, 12, 1), UTC)

    assert table.rows[-1][0] == "30 Nov"
    assert table.rows[-1][1][1].day == date(2026, 12, 1)
    assert table.last_day == date(2026, 12, 6)


@pytest.mark.parametrize(
    ("gap", "columns"),
    [
        (timedelta(minutes=1), 60), (timedelta(seconds=5), 60), (timedelta(minutes=5), 12),
        (timedelta(minutes=7), 12), (timedelta(hours=3), 1), (None, 60),
    ],
)  # fmt: skip
def test_an_hour_is_divided_as_finely_as_runs_come(gap, columns):
    assert len(layout(View.DAY, date(2026, 12, 1), UTC, gap=gap).columns) == columns


@pytest.mark.parametrize(
    ("gap", "view"),
    [
        (timedelta(seconds=1), View.DAY), (timedelta(minutes=15), View.DAY),
        (timedelta(hours=1), View.DAYS), (timedelta(hours=12), View.DAYS),
        (timedelta(days=1), View.WEEKS), (timedelta(days=3), View.WEEKS),
        (timedelta(days=7), View.YEAR), (None, View.YEAR),
    ],
)  # fmt: skip
def test_the_view_fits_how_often_it_runs(gap, view):
    assert view_for(gap) is view
