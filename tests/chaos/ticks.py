"""The rules of schedules: each moment has its run, and makes one job or is skipped for a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.chaos.evidence import Evidence, Tick
from tests.chaos.plan import HINDERS_TICKS

ONE_JOB = "A moment that is made has one job, a skipped one has none, and each job has its moment."
NOT_MISSED = "Each moment has its run, late or skipped only while a fault hinders the schedulers."
ON_TIME = timedelta(seconds=10)  # so late a moment isn't missed yet
SKIPPED = "skipped"
# A killed scheduler is started again, one that lost its database waits before it asks again.
RECOVERY = timedelta(seconds=6)


def wrongs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield each broken rule with what breaks it."""
    for what in _not_one_job(evidence):
        yield ONE_JOB, what
    for schedule in evidence.every:
        ticks = [
            tick for tick in evidence.ticks if tick.schedule == schedule and tick.backfill is None
        ]
        for what in _badly_missed(evidence, schedule, ticks):
            yield NOT_MISSED, what


def _not_one_job(evidence: Evidence) -> Iterator[str]:
    by_moment = Counter((job.schedule, job.logical_time) for job in evidence.jobs if job.schedule)
    job_by_id = {job.id: job for job in evidence.jobs}
    moments = Counter((tick.schedule, tick.logical_time) for tick in evidence.ticks)
    for tick in evidence.ticks:
        moment = (tick.schedule, tick.logical_time)
        job = job_by_id.get(tick.job_id or "")
        wanted = int(tick.outcome != SKIPPED)
        has_its_own = job is not None and (job.schedule, job.logical_time) == moment
        if has_its_own != wanted or by_moment[moment] != wanted or moments[moment] != 1:
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
        yield from _unexcused_delay(evidence, tick)
    for before, after in pairwise(ticks):
        for moment in _moments(before.logical_time, after.logical_time, every):
            yield f"{schedule} at {moment}: has no run"
    if evidence.ticking_ended_at is not None:
        # What came due in the very last moment may be cut off by the stop.
        end = evidence.ticking_ended_at - timedelta(seconds=1)
        yield from _unexcused(
            evidence, schedule, list(_moments(ticks[-1].logical_time, end, every))
        )


def _unexcused_delay(evidence: Evidence, tick: Tick) -> Iterator[str]:
    every, late = evidence.every[tick.schedule], tick.created_at - tick.logical_time
    if tick.outcome == SKIPPED and late <= ON_TIME:
        yield f"{_name(tick)} was skipped at {tick.created_at}, when it was on time"
    elif late >= every and not is_hindered(evidence, tick.logical_time, every):
        yield f"{_name(tick)} was handled at {tick.created_at}, though nothing hindered it"


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


def skipped(evidence: Evidence) -> int:
    """Return how many moments were skipped, excused or not."""
    return sum(tick.outcome == SKIPPED for tick in evidence.ticks)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _name(tick: Tick) -> str:
    return f"{tick.schedule} at {tick.logical_time}"
