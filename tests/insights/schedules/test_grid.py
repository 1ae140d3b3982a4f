from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.insights.schedules.grid import grid
from jobs.insights.schedules.periods import View
from jobs.statuses import Status
from tests.histories import make_run, make_schedule

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def cell_of(found, day, hour=None):
    return next(
        cell
        for cell in found.cells
        if cell.slot.day == day and hour in {None, cell.slot.start.astimezone(found.zone).hour}
    )


def test_a_daily_schedule_is_seen_by_weeks_with_its_runs_holes_and_moments_to_come():
    schedule = make_schedule(timezone="America/New_York")
    tuesday = datetime(2026, 11, 3, 7, tzinfo=UTC)  # 02:00 in New York
    make_run(schedule, tuesday - 2 * DAY, Status.FAILED)
    make_run(schedule, tuesday)

    found = grid(schedule, now=NOW)

    assert found.view is View.WEEKS
    assert cell_of(found, date(2026, 11, 1)).status == "failed"
    assert cell_of(found, date(2026, 11, 2)).missing == [tuesday - DAY]
    assert [run.logical_time for run in cell_of(found, date(2026, 11, 3)).runs] == [tuesday]
    assert cell_of(found, date(2026, 11, 5)).ahead == [tuesday + 2 * DAY]
    assert found.counts == {"failed": 1, "completed": 1}
    assert found.first_run_at == tuesday - 2 * DAY
    assert found.following is None


def test_a_run_of_no_moment_of_the_rule_is_seen_too():
    schedule = make_schedule(crons=["0 * * * *"])
    make_run(schedule, NOW - timedelta(minutes=20), kind="manual")

    found = grid(schedule, now=NOW)

    cell = cell_of(found, date(2026, 11, 4), 11)
    assert found.view is View.DAYS
    assert [run.kind for run in cell.runs] == ["manual"]
    assert cell.missing == [datetime(2026, 11, 4, 11, tzinfo=UTC)]


def test_the_worst_run_of_a_cell_gives_its_status():
    schedule = make_schedule(crons=["*/20 * * * *"])
    start = datetime(2026, 11, 3, 5, tzinfo=UTC)
    for i, status in enumerate(["completed", "skipped", "failed"]):
        make_run(schedule, start + i * timedelta(minutes=20), status)

    found = grid(schedule, now=NOW, view=View.DAYS)

    cell = cell_of(found, date(2026, 11, 3), 5)
    assert (cell.status, len(cell.runs), cell.missing) == ("failed", 3, [])


def test_skipped_is_said_before_completed():
    schedule = make_schedule(crons=["*/30 * * * *"])
    start = datetime(2026, 11, 3, 5, tzinfo=UTC)
    make_run(schedule, start, "completed")
    make_run(schedule, start + timedelta(minutes=30), "skipped")

    found = grid(schedule, now=NOW, view=View.DAYS)

    assert cell_of(found, date(2026, 11, 3), 5).status == "skipped"


def test_both_runs_of_the_repeated_hour_are_in_its_cell():
    schedule = make_schedule(crons=["30 * * * *"], timezone="Europe/Berlin")
    make_run(schedule, datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    make_run(schedule, datetime(2026, 10, 25, 1, 30, tzinfo=UTC))

    found = grid(schedule, now=NOW, last_day=date(2026, 10, 26))

    assert len(cell_of(found, date(2026, 10, 25), 2).runs) == 2


def test_periods_lead_to_their_neighbours_and_not_past_today():
    schedule = make_schedule(crons=["0 * * * *"])

    past = grid(schedule, now=NOW, last_day=date(2026, 10, 1))
    near = grid(schedule, now=NOW, last_day=date(2026, 11, 1))
    ahead = grid(schedule, now=NOW, last_day=date(2027, 11, 1))

    assert (past.first_day, past.last_day) == (date(2026, 9, 18), date(2026, 10, 1))
    assert (past.previous, past.following) == (date(2026, 9, 17), date(2026, 10, 15))
    assert near.following == date(2026, 11, 4)
    assert (ahead.last_day, ahead.following) == (date(2026, 11, 4), None)


def test_a_schedule_that_is_off_has_nothing_to_come():
    found = grid(make_schedule(enabled=False), now=NOW)

    assert not any(cell.ahead for cell in found.cells)
    assert found.missing


def test_too_many_moments_are_not_looked_at_each(monkeypatch):
    monkeypatch.setattr("jobs.insights.schedules.grid.MAX_MOMENTS", 100)
    schedule = make_schedule(crons=[], every=timedelta(seconds=1))

    found = grid(schedule, now=NOW)

    assert (found.view, found.knows_missing, found.missing) == (View.DAY, False, [])


def test_of_too_many_runs_the_newest_are_shown_and_none_is_called_missing(monkeypatch):
    monkeypatch.setattr("jobs.insights.schedules.grid.MAX_RUNS", 2)
    schedule = make_schedule()
    for i in range(3):
        make_run(schedule, datetime(2026, 11, 1 + i, 2, tzinfo=UTC))

    found = grid(schedule, now=NOW)

    assert (found.is_cut, found.counts.total(), found.missing) == (True, 2, [])


def test_a_grid_is_two_queries_however_many_runs(django_assert_num_queries):
    schedule = make_schedule(crons=["0 * * * *"])
    for i in range(50):
        make_run(schedule, NOW - timedelta(hours=i))

    with django_assert_num_queries(2):
        grid(schedule, now=NOW)


@pytest.mark.parametrize(
    "fields", [{"crons": ["nonsense"]}, {"timezone": "Mars/Olympus"}, {"crons": []}]
)
def test_a_faulty_rule_still_shows_its_runs(fields):
    schedule = make_schedule(**fields)
    make_run(schedule, NOW - DAY)

    found = grid(schedule, now=NOW)

    assert found.counts == {"completed": 1}
    assert found.missing == []
