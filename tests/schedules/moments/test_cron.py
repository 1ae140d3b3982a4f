from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules.moments import cron
from jobs.schedules.moments.cron import Rule

BERLIN = "Europe/Berlin"
ZONES = ("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
CRONS = (
    "* * * * *",
    "*/15 * * * *",
    "0 * * * *",
    "30 * * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "0 */2 * * *",
    "0 1 * * mon-fri",
    "15 2 29 2 *",
    "0 0 L * *",
    "*/20 30 2 * * *",
)
of_lines = st.builds(
    Rule,
    crons=st.lists(st.sampled_from(CRONS), min_size=1, max_size=3).map(tuple),
    timezone=st.sampled_from(ZONES),
)
starts = st.timedeltas(timedelta(0), timedelta(days=2500)).map(
    lambda wait: datetime(2020, 1, 1, tzinfo=UTC) + wait
)
of_intervals = st.builds(
    Rule,
    every=st.timedeltas(timedelta(seconds=1), timedelta(days=40)),
    start_at=st.none() | starts,
)
rules = of_lines | of_intervals
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


def local(*parts, zone=BERLIN, fold=0):
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
    rule = Rule(crons=("30 2 * * *",), timezone=BERLIN)

    assert cron.next_after(rule, local(2026, 3, 28, 3)) == local(2026, 3, 29, 3)


def test_a_time_that_autumn_repeats_comes_once():
    rule = Rule(crons=("30 2 * * *",), timezone=BERLIN)

    first = cron.next_after(rule, local(2026, 10, 25, 1))

    assert first == local(2026, 10, 25, 2, 30).astimezone(UTC)
    assert cron.next_after(rule, first) == local(2026, 10, 26, 2, 30)


def test_an_hourly_schedule_comes_in_both_of_the_repeated_hours():
    rule = Rule(crons=("0 * * * *",), timezone=BERLIN)

    first = cron.next_after(rule, local(2026, 10, 25, 1, 30))

    assert cron.next_after(rule, first) - first == timedelta(hours=1)


def test_several_lines_are_one_schedule():
    rule = Rule(crons=("0 8 * * mon-fri", "0 10 * * sat,sun", "0 8 1 * *"))
    friday = datetime(2026, 5, 1, tzinfo=UTC)

    found = list(cron.moments(rule, after=friday, until=friday + timedelta(days=3)))

    assert found == [
        datetime(2026, 5, 1, 8, tzinfo=UTC),
        datetime(2026, 5, 2, 10, tzinfo=UTC),
        datetime(2026, 5, 3, 10, tzinfo=UTC),
    ]


def test_an_interval_is_counted_from_a_fixed_moment():
    rule = Rule(every=timedelta(hours=7))

    from_here = cron.next_after(rule, datetime(2026, 5, 5, 3, tzinfo=UTC))
    from_there = cron.next_after(rule, datetime(2026, 5, 5, 3, 11, 12, 13, tzinfo=UTC))

    assert from_here == from_there
    assert (from_here - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(hours=7) == timedelta(0)


def test_an_interval_with_a_start_is_counted_from_it():
    start = datetime(2026, 5, 5, 3, 11, 12, 13, tzinfo=UTC)
    rule = Rule(every=timedelta(hours=7), start_at=start)

    found = list(cron.moments(rule, after=start - timedelta(days=1), until=start + timedelta(1)))

    assert found == [start + n * timedelta(hours=7) for n in range(4)]


def test_a_start_in_a_zone_is_the_moment_that_it_names():
    second_half_past_two = local(2026, 10, 25, 2, 30, fold=1)
    rule = Rule(every=timedelta(minutes=20), start_at=second_half_past_two, timezone=BERLIN)

    found = cron.next_after(rule, local(2026, 10, 25, 2, 45, fold=1))

    assert found == datetime(2026, 10, 25, 1, 50, tzinfo=UTC)


def test_start_and_end_may_be_moments_themselves():
    rule = Rule(
        crons=("0 2 * * *",),
        start_at=datetime(2026, 1, 2, 2, tzinfo=UTC),
        end_at=datetime(2026, 1, 3, 2, tzinfo=UTC),
    )

    found = list(cron.moments(rule, after=CHANGES[0] - timedelta(days=999), until=CHANGES[0]))

    assert found == [rule.start_at, rule.end_at]
    assert cron.next_after(rule, rule.end_at) is None
    assert cron.previous_before(rule, rule.start_at) is None
    assert cron.previous_before(rule, CHANGES[0]) == rule.end_at


def test_moments_are_found_one_at_a_time():
    always = Rule(crons=("* * * * *",), timezone=BERLIN)

    found = cron.moments(always, after=CHANGES[0], until=datetime(9999, 1, 1, tzinfo=UTC))

    assert next(found) == CHANGES[0] + timedelta(minutes=1)


@given(rule=rules, after=moments)
def test_moments_ascend_and_are_what_asking_for_the_next_one_finds(rule, after):
    until = after + timedelta(hours=6)
    asked = []
    at = after
    while (at := cron.next_after(rule, at)) and at <= until and len(asked) < 90:
        asked.append(at)

    found = list(itertools.islice(cron.moments(rule, after=after, until=until), 90))

    assert found == asked
    assert found == sorted(set(found))
    assert all(moment.tzinfo is UTC for moment in found)


@given(rule=rules, after=moments, start=starts, length=st.timedeltas(timedelta(0)))
def test_start_and_end_leave_out_what_lies_beyond_them(rule, after, start, length):
    bounded = replace(rule, start_at=start, end_at=start + min(length, timedelta(hours=9)))
    if rule.every:
        rule = replace(rule, start_at=start)
    until = bounded.end_at + timedelta(days=1)

    found = list(itertools.islice(cron.moments(bounded, after=after, until=until), 90))

    all_of_them = cron.moments(
        rule, after=max(after, start - timedelta(microseconds=1)), until=bounded.end_at
    )
    assert found == list(itertools.islice(all_of_them, 90))


@given(rule=rules, moment=moments)
def test_the_previous_moment_is_the_one_whose_next_is_this(rule, moment):
    found = cron.next_after(rule, max(moment, rule.start_at or moment))

    previous = cron.previous_before(rule, found)

    assert previous < found
    assert cron.next_after(rule, previous) == found


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
    assert cron.previous_before(rule, until + timedelta(microseconds=1)) == newest


def test_no_moment_is_newest_where_none_came():
    rule = Rule(crons=("0 2 * * *",))
    since = datetime(2026, 1, 1, 3, tzinfo=UTC)

    assert cron.latest(rule, since=since, until=since + timedelta(hours=2)) is None


@given(text=st.text(alphabet="0123456789*/,-#LWmonjanFRI @", max_size=25))
def test_any_text_is_either_a_rule_or_has_a_fault(text):
    rule = Rule(crons=(text,))

    if not cron.fault(rule):
        assert cron.next_after(rule, datetime(2026, 1, 1, tzinfo=UTC)) is not None


LATE, EARLY = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule(), "either cron or every"),
        (Rule(crons=("* * * * *",), every=timedelta(hours=1)), "either cron or every"),
        (Rule(every=timedelta(0)), "at least one second"),
        (Rule(every=timedelta(seconds=-5)), "at least one second"),
        (Rule(every=timedelta.max), "at most 50 years"),
        (Rule(crons=("@daily",)), "write minute hour day month weekday"),
        (Rule(crons=("",)), "write minute hour day month weekday"),
        (Rule(crons=("61 * * * *",)), "bad minute"),
        (Rule(crons=("0 2 * * *", "0 25 * * *")), "'0 25 * * *' is no cron line (bad hour)"),
        (Rule(crons=("9" * 5000 + " * * * *",)), "is no cron line"),
        (Rule(crons=("0 0 30 2 *",)), "'0 0 30 2 *' never comes"),
        (Rule(crons=("0 0 31 4,6,9,11 *",)), "never comes"),
        (Rule(crons=("0 0 */28 * mon#2",)), "never comes"),  # a second Monday on the 1st or 29th
        (Rule(crons=("0 2 * * *", "0 0 30 2 *")), "'0 0 30 2 *' never comes"),
        (Rule(crons=("0 0 * * *",), timezone="Europe/Nowhere"), "is no time zone"),
        (Rule(crons=("0 0 * * *",), timezone="Europe"), "is no time zone"),
        (Rule(crons=("0 0 * * *",), timezone="../etc/passwd"), "is no time zone"),
        (Rule(every=timedelta(1), timezone=""), "is no time zone"),
        (
            Rule(every=timedelta(1), start_at=EARLY.replace(tzinfo=None)),
            "start_at has no time zone",
        ),
        (Rule(every=timedelta(1), end_at=EARLY.replace(tzinfo=None)), "end_at has no time zone"),
        (Rule(every=timedelta(1), start_at=LATE, end_at=EARLY), "end_at is earlier"),
        (Rule(every=timedelta(1), end_at=datetime.max.replace(tzinfo=UTC)), "too far away"),
        (Rule(crons=("0 0 30 6 *",), start_at=EARLY, end_at=LATE), "between start_at and end_at"),
    ],
)
def test_a_rule_that_makes_no_sense_has_a_fault(rule, says):
    assert says in cron.fault(rule)
    assert len(cron.fault(rule)) < 400


@given(rule=rules)
def test_a_rule_that_makes_sense_has_none(rule):
    assert not cron.fault(rule)
