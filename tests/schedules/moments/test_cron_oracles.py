"""The same moments as those who compute them in other ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules.moments import cron
from jobs.schedules.moments.cron import Rule

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
# The days of 2024 and 2025 on which clocks change, in UTC.
CHANGES = {
    "Europe/Berlin": ("2024-03-31", "2024-10-27", "2025-03-30", "2025-10-26"),
    "America/New_York": ("2024-03-10", "2024-11-03", "2025-03-09", "2025-11-02"),
    "Australia/Lord_Howe": ("2024-04-06", "2024-10-05", "2025-04-05", "2025-10-04"),
    "Africa/Cairo": ("2024-04-25", "2024-10-31", "2025-04-24", "2025-10-30"),
    "Antarctica/Troll": ("2024-03-31", "2024-10-27", "2025-03-30", "2025-10-26"),
    "Europe/Dublin": ("2024-03-31", "2024-10-27", "2025-03-30", "2025-10-26"),
    "America/Santiago": ("2024-04-07", "2024-09-08", "2025-04-06", "2025-09-07"),
    "Asia/Kathmandu": (),
}
LINES = (
    "17 * * mar,apr,sep-nov *",
    "30 2 * * *",
    "0 0 * * *",
    "*/30 1-2 * * *",
    "0,30 2 * * *",
    "0 */8 * * *",
    "5 4 * * mon-fri",
    "0 12 1,15 * *",
    "0 9 13 * fri",  # the 13th, and each Friday
    "15 2 29 2 *",
    "0 0 L * *",
    "30 6 * jan-mar,oct 0",
    "0 8 * * sun#2",
)


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("line", LINES)
def test_two_years_are_those_of_another_library_but_for_the_days_of_change(line, zone):
    ours = cron.moments(Rule(crons=(line,), timezone=zone), after=FIRST, until=LAST)

    assert quiet(ours, zone) == quiet(theirs(line, zone), zone)


def theirs(line, zone):
    found = croniter(line, FIRST.astimezone(ZoneInfo(zone)), ret_type=datetime)
    for moment in found:
        if moment > LAST:
            return
        yield moment.astimezone(UTC)


def quiet(moments, zone):
    days = [datetime.fromisoformat(day + "T00:00+00:00") for day in CHANGES[zone]]
    loud = [(day - timedelta(hours=12), day + timedelta(hours=36)) for day in days]
    return [at for at in moments if not any(begin <= at <= end for begin, end in loud)]


def field(most):
    """Draw a field as it is written, and its values."""
    values = range(most)
    return st.one_of(
        st.just(("*", values)),
        st.sampled_from([2, 3, 7, 20]).map(lambda step: (f"*/{step}", values[::step])),
        st.sets(st.sampled_from(values), min_size=1, max_size=4).map(
            lambda drawn: (",".join(map(str, sorted(drawn))), sorted(drawn))
        ),
        st.tuples(st.sampled_from(values), st.sampled_from(values)).map(
            lambda ends: (f"{min(ends)}-{max(ends)}", range(min(ends), max(ends) + 1))
        ),
    )


# By half an hour, an hour, two, three and a day; to and from summer time, and for good.
TURNS = (
    ("Europe/Berlin", datetime(2024, 3, 31, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 10, 27, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2024, 4, 25, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2024, 10, 31, 21, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2025, 10, 26, 1, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2019, 2, 17, 2, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2015, 8, 14, 15, tzinfo=UTC)),
    ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
    ("Antarctica/Casey", datetime(2018, 3, 10, 17, tzinfo=UTC)),
)


@given(minute=field(60), hour=field(24), turn=st.sampled_from(TURNS))
def test_near_a_change_the_moments_are_those_of_looking_at_the_clock_each_minute(
    minute, hour, turn
):
    zone, change = turn
    after, until = change - timedelta(hours=4), change + timedelta(hours=8)
    rule = Rule(crons=(f"{minute[0]} {hour[0]} * * *",), timezone=zone)

    found = list(cron.moments(rule, after=after, until=until))

    assert found == list(watched(minute, hour, zone, after, until))


def watched(minute, hour, zone, after, until):
    """Watch the clock on the wall, each minute of real time, and do as the documentation says."""
    comes_both_times = "*" in minute[0] + hour[0] or len(minute[1]) == 60 or len(hour[1]) == 24
    step = timedelta(minutes=1)
    before = after.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    moment = after
    while (moment := moment + step) <= until:
        clock = moment.astimezone(ZoneInfo(zone))
        is_repeated = clock.fold == 1
        clock = clock.replace(tzinfo=None, fold=0)
        jumped = []
        while len(hour[1]) < 24 and (before := before + step) < clock:
            jumped.append(before)
        comes = clock.minute in minute[1] and clock.hour in hour[1]
        if any(at.minute in minute[1] and at.hour in hour[1] for at in jumped) or (
            comes and (comes_both_times or not is_repeated)
        ):
            yield moment
        before = clock
