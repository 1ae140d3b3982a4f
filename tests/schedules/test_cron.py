from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules import cron
from jobs.schedules.cron import Rule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
CRONS = (
    "* * * * *",
    "*/15 * * * *",
    "0 * * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "0 1 * * mon-fri",
    "15 2 29 2 *",
    "0 0 L * *",
    "*/20 30 2 * * *",
)
rules = st.one_of(
    st.builds(
        Rule,
        crons=st.lists(st.sampled_from(CRONS), min_size=1, max_size=3).map(tuple),
        timezone=st.sampled_from(ZONES),
    ),
    st.builds(Rule, every=st.timedeltas(timedelta(seconds=1), timedelta(days=40))),
)
# Around the changes of clocks of 2026 and 2027 in all these zones, to the second.
CHANGES = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
]
moments = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=730)).map(lambda wait: CHANGES[0] + wait),
    st.builds(
        lambda change, offset: change + timedelta(seconds=offset),
        st.sampled_from(CHANGES),
        st.integers(-9_000, 9_000),
    ),
)


def local(*parts, zone="Europe/Berlin", fold=0):
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)


def test_a_nightly_schedule_comes_each_night():
    rule = Rule(crons=("0 2 * * *",))

    assert cron.next_after(rule, datetime(2026, 1, 1, 2, tzinfo=UTC)) == datetime(
        2026, 1, 2, 2, tzinfo=UTC
    )


def test_a_time_of_day_is_read_in_the_schedules_own_zone():
    rule = Rule(crons=("0 2 * * *",), timezone="Asia/Tokyo")

    assert cron.next_after(rule, datetime(2026, 1, 1, tzinfo=UTC)) == datetime(
        2026, 1, 1, 17, tzinfo=UTC
    )


def test_weekdays_leave_out_saturday_and_sunday():
    rule = Rule(crons=("0 1 * * mon-fri",))

    assert cron.next_after(rule, datetime(2026, 11, 27, 2, tzinfo=UTC)) == datetime(
        2026, 11, 30, 1, tzinfo=UTC
    )


def test_a_time_that_spring_skips_comes_when_the_clocks_have_changed():
    rule = Rule(crons=("30 2 * * *",), timezone="Europe/Berlin")

    assert cron.next_after(rule, local(2026, 3, 28, 3)) == local(2026, 3, 29, 3)


def test_a_time_that_autumn_repeats_comes_once():
    rule = Rule(crons=("30 2 * * *",), timezone="Europe/Berlin")

    first = cron.next_after(rule, local(2026, 10, 25, 1))

    assert first == local(2026, 10, 25, 2, 30).astimezone(UTC)
    assert cron.next_after(rule, first) == local(2026, 10, 26, 2, 30)


def test_an_hourly_schedule_comes_in_both_of_the_repeated_hours():
    rule = Rule(crons=("0 * * * *",), timezone="Europe/Berlin")

    first = cron.next_after(rule, local(2026, 10, 25, 1, 30))

    assert cron.next_after(rule, first) - first == timedelta(hours=1)


def test_an_interval_is_counted_from_a_fixed_moment():
    rule = Rule(every=timedelta(hours=7))

    from_here = cron.next_after(rule, datetime(2026, 5, 5, 3, tzinfo=UTC))
    from_there = cron.next_after(rule, datetime(2026, 5, 5, 3, 11, 12, 13, tzinfo=UTC))

    assert from_here == from_there


@given(rule=rules, moment=moments)
def test_the_next_moment_is_later(rule, moment):
    assert cron.next_after(rule, moment) > moment


@given(rule=rules, first=moments, second=moments)
def test_moments_are_the_same_from_wherever_one_looks(rule, first, second):
    earlier, later = sorted((first, second))
    found = cron.next_after(rule, earlier)

    if found > later:
        assert cron.next_after(rule, later) == found
    else:
        assert cron.next_after(rule, later) > found


@given(rule=rules, moment=moments, span=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_the_latest_moment_has_none_after_it(rule, moment, span):
    since = cron.next_after(rule, moment)
    until = since + span

    newest = cron.latest(rule, since=since, until=until)

    assert since <= newest <= until
    assert cron.next_after(rule, newest) > until


def test_no_moment_is_newest_where_none_came():
    rule = Rule(crons=("0 2 * * *",))
    since = datetime(2026, 1, 1, 3, tzinfo=UTC)

    assert cron.latest(rule, since=since, until=since + timedelta(hours=2)) is None


@given(text=st.text(alphabet="0123456789*/,-#LWmonjanFRI @", max_size=25))
def test_any_text_is_either_a_rule_or_has_a_fault(text):
    rule = Rule(crons=(text,))

    if not cron.fault(rule):
        assert cron.next_after(rule, datetime(2026, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    "rule",
    [
        Rule(),
        Rule(crons=("* * * * *",), every=timedelta(hours=1)),
        Rule(every=timedelta(0)),
        Rule(every=timedelta(seconds=-5)),
        Rule(crons=("@daily",)),
        Rule(crons=("61 * * * *",)),
        Rule(crons=("0 0 31 2 *",)),
        Rule(crons=("0 0 * * *",), timezone="Europe/Nowhere"),
        Rule(crons=("0 0 * * *",), timezone="Europe"),
        Rule(crons=("0 0 * * *",), timezone="../etc/passwd"),
    ],
)
def test_a_rule_that_makes_no_sense_has_a_fault(rule):
    assert cron.fault(rule)
