from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedules.moments import cron, missed, spans
from jobs.schedules.moments.cron import Rule
from jobs.schedules.moments.missed import Due, plan

HOURLY = Rule(crons=("0 * * * *",))
SECONDLY = Rule(every=timedelta(seconds=1))
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def found(first, *, now=NOON + timedelta(seconds=3), rule=HOURLY, limit=500, **facts):
    return plan(Due(rule=rule, first=first, now=now, **facts), limit=limit)


def made(found_plan):
    return [handled.moment for handled in found_plan.moments if handled.is_made]


def hours(*numbers):
    return [NOON + timedelta(hours=number) for number in numbers]


def test_a_moment_on_time_is_made_and_the_next_one_is_to_come():
    its_plan = found(NOON)

    assert made(its_plan) == [NOON]
    assert not its_plan.moments[0].is_late
    assert its_plan.next_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize("catch_up", ["none", "last", "1h", "0s"])
def test_ten_seconds_late_is_on_time(catch_up):
    its_plan = found(NOON, now=NOON + timedelta(seconds=10), catch_up=catch_up)

    assert made(its_plan) == [NOON]


@pytest.mark.parametrize(
    ("catch_up", "makes"),
    [("none", []), ("last", hours(0)), ("1h", hours(0)), ("0s", [])],
)
def test_what_is_older_is_missed(catch_up, makes):
    assert made(found(NOON, now=NOON + timedelta(seconds=10.1), catch_up=catch_up)) == makes


@pytest.mark.parametrize(
    ("catch_up", "late", "makes"),
    [
        # One on time follows.
        ("none", timedelta(seconds=3), hours(0)),
        ("last", timedelta(seconds=3), hours(0)),
        ("2h 30m", timedelta(seconds=3), hours(-2, -1, 0)),
        ("1d", timedelta(seconds=3), hours(-3, -2, -1, 0)),
        # None does.
        ("none", timedelta(minutes=5), []),
        ("last", timedelta(minutes=5), hours(0)),
        ("2h 30m", timedelta(minutes=5), hours(-2, -1, 0)),
        ("2h", timedelta(minutes=5), hours(-1, 0)),
    ],
)
def test_catch_up_says_which_missed_moments_are_made(catch_up, late, makes):
    its_plan = found(hours(-3)[0], now=NOON + late, catch_up=catch_up)

    assert made(its_plan) == makes
    assert [handled.moment for handled in its_plan.moments] == hours(-3, -2, -1, 0), "a hole"
    assert its_plan.next_at == NOON + timedelta(hours=1)


def test_a_skipped_moment_says_why():
    first, second = found(hours(-1)[0], now=NOON + timedelta(minutes=5)).moments

    assert first.reason == (
        "missed: nobody made it in time, it was found 1h 5m later; "
        "catch_up is last, and a newer moment has come"
    )
    assert second.reason == ""


def test_a_paused_schedule_makes_nothing_and_says_so():
    its_plan = found(hours(-2)[0], pause="paused by ann: too slow", catch_up="1d")

    assert made(its_plan) == []
    assert {handled.reason for handled in its_plan.moments} == {"paused by ann: too slow"}
    assert len(its_plan.moments) == 3


def test_only_what_the_window_makes_is_late():
    late = found(hours(-1)[0], catch_up="1d").moments

    assert [handled.is_late for handled in late] == [True, False]
    assert not found(NOON, now=NOON + timedelta(minutes=5)).moments[0].is_late


def test_a_rule_that_has_ended_is_not_due_again():
    ended = Rule(crons=("0 * * * *",), end_at=NOON + timedelta(minutes=1))

    assert found(NOON, rule=ended).next_at is None
    assert found(hours(-5)[0], rule=ended).next_at is None


def test_a_moment_that_the_rule_does_not_know_is_handled_as_well():
    odd = NOON - timedelta(minutes=90)  # it was of the rule before

    assert [handled.moment for handled in found(odd).moments] == [odd, *hours(-1, 0)]


def gone_through(due, **limits):
    """Return all that is handled, plan by plan, as if the process died after each."""
    handled, rounds = [], 0
    while due.first is not None and due.first <= due.now:
        some = plan(due, **limits)
        assert len(some.moments) <= limits.get("limit", missed.MAX_MOMENTS) + 1
        handled += some.moments
        due = Due(
            rule=due.rule, first=some.next_at, now=due.now, catch_up=due.catch_up, pause=due.pause
        )
        rounds += 1
    return handled, rounds


RULES = st.sampled_from(
    [
        HOURLY,
        Rule(crons=("*/7 * * * *", "30 2 * * *"), timezone="Europe/Berlin"),
        Rule(every=timedelta(minutes=11)),
        Rule(every=timedelta(minutes=11), end_at=NOON - timedelta(hours=1)),
    ]
)


@settings(deadline=None, max_examples=60)
@given(
    rule=RULES,
    gap=st.timedeltas(timedelta(0), timedelta(hours=8)),
    late=st.timedeltas(timedelta(0), timedelta(hours=1)),
    catch_up=st.sampled_from(["none", "last", "0s", "45m", "1d"]),
    limit=st.integers(1, 30),
)
def test_each_moment_is_handled_once_in_order_wherever_plans_end(rule, gap, late, catch_up, limit):
    now = NOON + late
    moments = list(cron.moments(rule, after=now - gap, until=now))
    if not moments:
        return
    due = Due(rule=rule, first=moments[0], now=now, catch_up=catch_up)

    handled, _ = gone_through(due, limit=limit)

    assert [each.moment for each in handled] == moments
    assert [each.moment for each in handled if each.is_made] == wanted(moments, now, catch_up)


def wanted(moments, now, catch_up):
    """Say what docs/schedules.md says, in other words."""
    on_time = [moment for moment in moments if (now - moment).total_seconds() <= 10]
    late = [moment for moment in moments if moment not in on_time]
    match catch_up:
        case "none":
            return on_time
        case "last":
            return on_time or late[-1:]
        case _:
            seconds = {"0s": 0, "45m": 2700, "1d": 86400}[catch_up]
            return [m for m in late if (now - m).total_seconds() <= seconds] + on_time


@pytest.mark.parametrize("catch_up", ["none", "last", "1h"])
@pytest.mark.parametrize(
    ("rule", "gap", "summed"),
    [
        (Rule(every=timedelta(seconds=1)), timedelta(days=400), None),
        (Rule(crons=("* * * * *",)), timedelta(days=8), "1,"),
        (Rule(crons=("* * * * *",)), timedelta(days=400), "more than 20,000"),
        (Rule(crons=("0 * * * *",)), timedelta(days=505), "2,1"),
    ],
)
def test_of_a_long_gap_the_oldest_moments_share_a_row(rule, gap, summed, catch_up):
    now = NOON + timedelta(seconds=30)
    first = next(cron.moments(rule, after=now - gap, until=now))
    began = time.monotonic()

    handled, _ = gone_through(Due(rule=rule, first=first, now=now, catch_up=catch_up))

    moments = [each.moment for each in handled]
    skipped = [each for each in handled if not each.is_made]
    assert len(skipped) <= missed.MAX_SKIPPED + 1
    assert moments[0] == first
    assert moments[1:] == list(cron.moments(rule, after=moments[1] - spans.MICROSECOND, until=now))
    assert "this row stands for" in skipped[0].reason
    if summed:
        assert f"stands for {summed}" in skipped[0].reason
    assert not any("stands for" in each.reason for each in handled[1:])
    assert time.monotonic() - began < 20


def test_the_row_that_stands_for_others_counts_them():
    now = NOON + timedelta(seconds=30)
    first = NOON - timedelta(seconds=20_000)

    handled, _ = gone_through(Due(rule=SECONDLY, first=first, now=now, catch_up="none"))

    together = handled[1].moment - first
    assert f"stands for {together.total_seconds():,.0f} moments" in handled[0].reason


def test_ten_thousand_skipped_moments_have_a_row_each():
    rule, now = Rule(every=timedelta(minutes=1)), NOON + timedelta(seconds=30)
    first = NOON - timedelta(minutes=missed.MAX_SKIPPED - 1)

    handled, rounds = gone_through(Due(rule=rule, first=first, now=now, catch_up="none"))

    assert (len(handled), rounds) == (missed.MAX_SKIPPED, missed.MAX_SKIPPED // 500)
    assert not any("stands for" in each.reason for each in handled)


def test_the_usual_plan_is_cheap():
    due = Due(rule=HOURLY, first=NOON, now=NOON + timedelta(seconds=1))
    began = time.process_time()

    for _ in range(200):
        plan(due)

    assert (time.process_time() - began) / 200 < 0.002
