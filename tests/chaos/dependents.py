"""The rules of workflows: who waits for whom is what the producers noted, not what rows say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.chaos.case import TERMINAL, Case
from tests.chaos.evidence import Job

RELEASED = "No job is left waiting for parents that have all ended."
IN_TURN = (
    "A job begins when all of its parents have ended, and have completed where their failure "
    "cancels it."
)
BLAMED = "A job that a parent cancelled names it, and that parent has not completed."
BROKEN = {"failed": " failed", "cancelled": " was cancelled"}  # and how an error says so


def wrongs(case: Case) -> Iterator[tuple[str, str]]:
    """Yield each broken rule with what breaks it."""
    for job in children(case):
        parents = [parent for parent, _ in case.parents_by_job[job.id]]
        told = f"{case.describe(job)}; after {', '.join(map(str, parents))}"
        if job.status == "waiting" and all(parent.status in TERMINAL for parent in parents):
            yield RELEASED, told
        if _is_cut(case, job) and not _blames_one(case, job):
            yield BLAMED, told
        for what in _out_of_turn(case, job):
            yield IN_TURN, f"{what}: {told}"


def children(case: Case) -> list[Job]:
    """Return the jobs that depend on others."""
    return [job for job in case.evidence.jobs if case.parents_by_job[job.id]]


def cut(case: Case) -> list[Job]:
    """Return those that neither a person nor they themselves have cancelled, before they began."""
    return [job for job in children(case) if _is_cut(case, job)]


def _is_cut(case: Case, job: Job) -> bool:
    is_asked = case.cancels[job.id] or case.attempts_by_job[job.id]
    return job.status == "cancelled" and not is_asked


def revived(case: Case) -> list[Job]:
    """Return those that ran though a parent whose failure cancels them had failed at first."""
    return [
        job
        for job in children(case)
        if case.attempts_by_job[job.id]
        and any(
            rule == "cancel" and one.status == "failed"
            for parent, rule in case.parents_by_job[job.id]
            for one in case.attempts_by_job[parent.id]
        )
        and not case.retries[job.id]
    ]


def may_be_cut(case: Case, job: Job) -> bool:
    """Whether a parent explains that the job was cancelled before it began."""
    return _is_cut(case, job) and bool(_culprits(case, job))


def _culprits(case: Case, job: Job) -> list[Job]:
    return [
        parent
        for parent, rule in case.parents_by_job[job.id]
        if rule == "cancel" and parent.status in BROKEN
    ]


def _blames_one(case: Case, job: Job) -> bool:
    return any(
        job.error.startswith(f"cancelled: {one.job_class} {one.id} ")
        and job.error.endswith(BROKEN[one.status])
        for one in _culprits(case, job)
    )


def _out_of_turn(case: Case, job: Job) -> Iterator[str]:
    # What a person retries runs at once, whatever its parents do.
    attempts = case.attempts_by_job[job.id]
    if not attempts or case.retries[job.id]:
        return
    begun_at = min(one.started_at for one in attempts)
    for parent, rule in case.parents_by_job[job.id]:
        has_its_turn = _has_completed if rule == "cancel" else _has_ended
        if not has_its_turn(case, parent, begun_at):
            yield f"it began at {begun_at}, before {parent.id} had {_WANTED[rule]}"


_WANTED = {"cancel": "completed", "run": "ended"}


def _has_completed(case: Case, job: Job, moment: datetime) -> bool:
    return any(one.ended_at <= moment for one in case.completed(job))


def _has_ended(case: Case, job: Job, moment: datetime) -> bool:
    ends = [one.ended_at for one in case.attempts_by_job[job.id] if one.status in TERMINAL]
    ends += case.seen_ends_by_job[job.id]
    if job.finished_at is not None:
        ends.append(job.finished_at)
    return any(end <= moment for end in ends) or _was_cut(case, job, moment)


def _was_cut(case: Case, job: Job, moment: datetime) -> bool:
    """Whether it was cancelled because of a parent that a person has retried since.

    Nothing of that is left on its row: it was revived.
    """
    return any(
        rule == "cancel"
        and (
            (case.retries[parent.id] and _has_broken(case, parent, moment))
            or _was_cut(case, parent, moment)
        )
        for parent, rule in case.parents_by_job[job.id]
    )


def _has_broken(case: Case, job: Job, moment: datetime) -> bool:
    broken = [one.ended_at for one in case.attempts_by_job[job.id] if one.status in BROKEN]
    return any(end <= moment for end in broken + case.seen_ends_by_job[job.id])
