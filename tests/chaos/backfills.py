"""The rules of backfills: each moment asked for is made once, and few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.chaos.case import Case
from tests.chaos.evidence import Backfill

MADE = "A backfill is completed, and has made each moment of its span once, by a run of its own."
AT_ONCE = "Of the runs of a backfill no more live at once than it allows."


def wrongs(case: Case) -> Iterator[tuple[str, str]]:
    """Yield each broken rule with what breaks it; that a run has one job is the schedules' rule."""
    for name in case.evidence.backfilled:
        if not any(one.schedule == name for one in case.evidence.backfills):
            yield MADE, f"{name} was to be backfilled: there is no backfill"
    for one in case.evidence.backfills:
        for what in _badly_made(case, one):
            yield MADE, f"{one}: {what}"
        for what in _too_many(case, one):
            yield AT_ONCE, f"{one}: {what}"


def _badly_made(case: Case, one: Backfill) -> Iterator[str]:
    wanted = _moments(case, one)
    made = sorted(tick.logical_time for tick in case.evidence.ticks if tick.backfill == one.id)
    if one.status != "completed":
        yield f"it is {one.status}: {one.reason}"
    if made != wanted:
        odd = sorted(set(made) ^ set(wanted))
        yield f"{len(made)} runs for {len(wanted)} moments; not in both: {odd[:5]}"
    if (one.made, one.passed) != (len(wanted), 0):
        yield f"it counts {one.made} made and {one.passed} passed of {len(wanted)}"


def _moments(case: Case, one: Backfill) -> list[datetime]:
    moments, every = [one.from_at], case.evidence.every[one.schedule]
    while moments[-1] + every <= one.to_at:
        moments.append(moments[-1] + every)
    return moments


def _too_many(case: Case, one: Backfill) -> Iterator[str]:
    # A job surely lives from its first attempt's begin to its end; how much longer no row can tell,
    # since the scheduler counts a moment after its transaction has begun.
    lives = []
    for tick in case.evidence.ticks:
        job = case.job_by_id.get(tick.job_id or "") if tick.backfill == one.id else None
        attempts = case.attempts_by_job[job.id] if job else []
        if job and job.finished_at and attempts:
            lives.append((min(each.started_at for each in attempts), job.finished_at))
    for begun_at, _ in lives:
        living = sum(begin <= begun_at < end for begin, end in lives)
        if living > one.max_active:
            yield f"at {begun_at} {living} live"
