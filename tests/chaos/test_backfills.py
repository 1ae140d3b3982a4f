"""Each rule of backfills finds the wrong that is planted for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos import backfills, ticks, verdict
from tests.chaos.evidence import Backfill, Evidence
from tests.chaos.planted import at, attempt, job, rules, schedule, tick, ticked

MOMENTS = (-20, -18, -16)  # a backfill's; the schedule's own begin at 0


def made(seconds: float, *, begin: float, end: float) -> Evidence:
    """A moment that the backfill made, with the life of its job."""
    name = f"tick-{seconds:g}"
    return replace(
        ticked(seconds),
        jobs=(
            job(name, schedule="often", logical_time=at(seconds), token="", finished_at=at(end)),
        ),
        attempts=(attempt(name, started_at=at(begin), ended_at=at(end)),),
        ticks=(tick(seconds, created_at=at(begin - 1), backfill=1),),
    )


def row(**fields: Any) -> Backfill:
    values: dict[str, Any] = {
        "id": 1,
        "schedule": "often",
        "from_at": at(MOMENTS[0]),
        "to_at": at(MOMENTS[-1]),
        "max_active": 2,
        "status": "completed",
        "made": 3,
        "passed": 0,
    }
    return Backfill(**values | fields)


MADE = (made(-20, begin=1, end=5), made(-18, begin=2, end=4), made(-16, begin=4, end=6))
OWN = (ticked(0), ticked(2), ticked(4))


def backfilled(*parts: Evidence, **fields: Any) -> Evidence:
    """A schedule that ticks while a backfill makes `parts`."""
    return schedule(
        *parts,
        *OWN,
        ticking_ended_at=at(5),
        backfills=(row(**fields),),
        backfilled=("often",),
    )


SOUND = backfilled(*MADE)


def test_nothing_is_wrong_with_a_sound_backfill():
    assert verdict.judge(SOUND) == []


def test_newest_first_is_sound_too():
    assert verdict.judge(backfilled(*reversed(MADE))) == []


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [
        pytest.param(rule, evidence, id=name)
        for rule, name, evidence in (
            (backfills.MADE, "it never began", replace(SOUND, backfills=())),
            (backfills.MADE, "it never ended", backfilled(*MADE, status="running")),
            (backfills.MADE, "it stopped", backfilled(*MADE, status="stopped", reason="x")),
            (backfills.MADE, "a moment is lost", backfilled(MADE[0], MADE[2])),
            (backfills.MADE, "the last is lost", backfilled(*MADE[:2], made=2)),
            (backfills.MADE, "one before it", backfilled(*MADE, made(-22, begin=7, end=8))),
            (backfills.MADE, "one between", backfilled(*MADE, made(-17, begin=7, end=8))),
            (backfills.MADE, "one was counted twice", backfilled(*MADE, made=4)),
            (backfills.MADE, "one was passed over", backfilled(*MADE, passed=1)),
            (
                backfills.MADE,
                "the schedule made one of its moments",
                backfilled(*MADE[:2], ticked(-16)),
            ),
            (backfills.MADE, "a moment has two runs", backfilled(*MADE, MADE[0])),
            (
                ticks.ONE_JOB,
                "a moment has two jobs",
                backfilled(
                    *MADE, Evidence(jobs=(job("x", schedule="often", logical_time=at(-18)),))
                ),
            ),
            (
                ticks.ONE_JOB,
                "a moment's job is gone",
                backfilled(*MADE[:2], replace(MADE[2], jobs=())),
            ),
            (backfills.AT_ONCE, "two for one", backfilled(*MADE, max_active=1)),
            (
                backfills.AT_ONCE,
                "three for two",
                backfilled(*MADE[:2], made(-16, begin=3, end=6)),
            ),
        )
    ],
)
def test_each_wrong_is_found_by_its_rule(rule: str, evidence: Evidence):
    assert rule in rules(evidence)


def test_a_backfill_fills_no_gap_of_the_schedules_own_moments():
    gap = schedule(
        *MADE, ticked(0), made(2, begin=7, end=8), ticked(4), backfills=(), ticking_ended_at=at(5)
    )

    assert ticks.NOT_MISSED in rules(gap)
