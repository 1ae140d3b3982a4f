"""The rules of schedules: each moment makes one job, and one is missed only for a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.chaos.evidence import Evidence, Tick
from tests.chaos.plan import HINDERS_TICKS

ONE_JOB = "A moment of a schedule makes exactly one job, and a schedule's job has its moment."
NOT_MISSED = "A moment is missed only while a fault hinders the schedulers, for the next one due."
# A killed scheduler is started again, one that lost its database waits before it asks again.
RECOVERY = timedelta(seconds=6)


def wrongs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield each broken rule with what breaks it."""
    for what in _not_one_job(evidence):
        yield ONE_JOB, what
    for schedule in evidence.every:
        ticks = [tick for tick in evidence.ticks if tick.schedule == schedule]
        for what in _badly_missed(evidence, schedule, ticks):
            yield NOT_MISSED, what


def _not_one_job(evidence: Evidence) -> Iterator[str]:
    by_moment = Counter((job.schedule, job.logical_time) for job in evidence.jobs if job.schedule)
    job_by_id = {job.id: job for job in evidence.jobs}
    moments = Counter((tick.schedule, tick.logical_time) for tick in evidence.ticks)
    for tick in evidence.ticks:
        moment = (tick.schedule, tick.logical_time)
        job = job_by_id.get(tick.job_id or "")
        is_its_own = job is not None and (job.schedule, job.logical_time) == moment
        if not is_its_own or by_moment[moment] != 1 or moments[moment] != 1:
            yield (
                f"{_name(tick)}: {moments[moment]} runs, {by_moment[moment]} jobs, "
                f"outcome {tick.outcome}, its job is {job}"
            )
    for schedule, logical_time in by_moment.keys() - moments.keys():
        yield f"{schedule} at {logical_time}: a job without a run"


def _badly_missed(evidence: Evidence, schedule: str, ticks: list[Tick]) -> Iterator[str]:
    every = evidence.every[schedule]
    if not ticks:
        yield f"{schedule} made no tick at all"
        return
    for tick in ticks:
        # The newest moment that was due is the one to be made.
        if tick.created_at >= tick.logical_time + every:
            yield f"{_name(tick)} was made at {tick.created_at}, when a newer one was due"
    for before, after in pairwise(ticks):
        yield from _unexcused(
            evidence, schedule, list(_moments(before.logical_time, after.logical_time, every))
        )
    if evidence.ticking_ended_at is not None:
        # What came due in the very last moment may be cut off by the stop.
        end = evidence.ticking_ended_at - timedelta(seconds=1)
        yield from _unexcused(
            evidence, schedule, list(_moments(ticks[-1].logical_time, end, every))
        )


def _moments(after: datetime, before: datetime, every: timedelta) -> Iterator[datetime]:
    moment = after + every
    while moment < before:
        yield moment
        moment += every


def _unexcused(evidence: Evidence, schedule: str, missed: list[datetime]) -> Iterator[str]:
    for moment in missed:
        if not is_hindered(evidence, moment, evidence.every[schedule]):
            yield f"{schedule} at {moment}: missed, though nothing hindered it"


def is_hindered(evidence: Evidence, moment: datetime, every: timedelta) -> bool:
    """Whether a fault kept the schedulers from this moment's tick until the next was due."""
    return any(
        _at(struck.begun_at) <= moment + every and moment <= _at(struck.ended_at) + RECOVERY
        for struck in evidence.struck
        if struck.kind in HINDERS_TICKS
    )


def missed(evidence: Evidence) -> int:
    """Return how many moments were missed, excused or not."""
    return sum(
        len(list(_moments(before.logical_time, after.logical_time, evidence.every[schedule])))
        for schedule in evidence.every
        for before, after in pairwise([one for one in evidence.ticks if one.schedule == schedule])
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _name(tick: Tick) -> str:
    return f"{tick.schedule} at {tick.logical_time}"
