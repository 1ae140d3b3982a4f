"""What became of the jobs that somebody named, told to a person and to a program."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs.cli.command import BAD, OK, Output
from jobs.insights import search
from jobs.lifecycle.control import Moved


def report(moved: Moved, out: Output, *, word: str) -> int:
    """Say what moved and what was refused and why; return the exit code.

    Args:
        moved: What the verb returned.
        out: Where to.
        word: What the moved ones are now: "queued again".
    """
    out.data(
        {
            "moved": [str(job_id) for job_id in moved.moved],
            "asked": [str(job_id) for job_id in moved.asked],
            "refused": [{"id": str(job_id), "reason": _reason(job_id)} for job_id in moved.refused],
        }
    )
    _say(moved.moved, word, out)
    _say(moved.asked, "its worker was asked to stop it", out)
    for job_id in moved.refused:
        out.say(f"Job {job_id}: refused, {_reason(job_id)}")
    return BAD if moved.refused else OK


def _say(job_ids: Sequence[UUID], word: str, out: Output) -> None:
    for job_id in job_ids:
        out.say(f"Job {job_id}: {word}")


def _reason(job_id: UUID) -> str:
    job = search.job(job_id)
    if job is None:
        return "there is no such job"
    if job.cancel_requested_at is not None and not job.is_terminal:
        return f"it is {job.status} and its cancel was asked for before"
    return f"it is {job.status}"
