"""What became of a life beside what must have: the difference, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.models import JobStatus, ScheduleRun
from tests.life import oracle
from tests.life.oracle import MADE, Life
from tests.life.plan import Plan

LATEST = timedelta(seconds=1)  # how late a moment may be handled while somebody is there


@dataclass(kw_only=True)
class Verdict:
    """The account of a life."""

    expected: int = 0
    made: int = 0
    skipped: int = 0
    jobs: int = 0
    wrongs: list[str] = field(default_factory=list)


def judge(plan: Plan) -> Verdict:
    """Compare the rows with what the oracle says."""
    verdict = Verdict(jobs=JobStatus.objects.count())
    jobs = Counter(JobStatus.objects.values_list("schedule", "logical_time"))
    for name, life in plan.lives.items():
        expected = oracle.expected(life)
        runs = {
            moment: (outcome, made_at)
            for moment, outcome, made_at in ScheduleRun.objects.filter(
                schedule_name=name
            ).values_list("logical_time", "outcome", "created_at")
        }
        verdict.expected += len(expected)
        verdict.made += sum(outcome == MADE for outcome, _ in runs.values())
        verdict.skipped += sum(outcome == oracle.SKIPPED for outcome, _ in runs.values())
        verdict.wrongs += _wrongs(name, life, expected, runs)
        verdict.wrongs += _wrong_jobs(name, runs, jobs)
    if verdict.jobs != verdict.made:
        verdict.wrongs.append(f"{verdict.jobs} jobs of {verdict.made} runs that made one")
    return verdict


def _wrongs(
    name: str, life: Life, expected: dict[datetime, str], runs: dict[datetime, tuple[str, datetime]]
) -> Iterator[str]:
    for moment in sorted(expected.keys() | runs.keys()):
        have = runs.get(moment)
        if have is None or moment not in expected:
            what = "is missing" if have is None else "is nobody's moment"
            yield f"{name} at {moment}: {what}; {expected.get(moment, have)}"
        elif have[0] != expected[moment]:
            yield f"{name} at {moment}: {have[0]}, and should be {expected[moment]}"
        elif have[1] - oracle.seen_at(moment, life) > LATEST:
            yield f"{name} at {moment}: handled at {have[1]}"


def _wrong_jobs(
    name: str,
    runs: dict[datetime, tuple[str, datetime]],
    jobs: Counter[tuple[str, datetime | None]],
) -> Iterator[str]:
    for moment, (outcome, _) in runs.items():
        wanted = int(outcome == MADE)
        if jobs[name, moment] != wanted:
            yield f"{name} at {moment}: {jobs[name, moment]} jobs, and should be {wanted}"
