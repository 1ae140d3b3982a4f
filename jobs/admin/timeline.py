"""A job's life as a line of moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.models import JobAttempt, JobStatus
from jobs.statuses import Status

_WORDS = {
    "completed": "completed",
    "failed": "failed",
    "snoozed": "snoozed",
    "cancelled": "was cancelled",
    "given_back": "was given back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One moment of a job's life; `kind` is a status, for its colour."""

    at: datetime
    kind: str
    text: str
    detail: str = ""
    is_ahead: bool = False


def events(job: JobStatus, attempts: Sequence[JobAttempt]) -> list[Event]:
    """Return the moments in order, what is still ahead last.

    Args:
        job: With its creator loaded.
        attempts: The ended ones to show, oldest first.
    """
    found = [_created(job)]
    for attempt in attempts:
        found += _attempt(attempt)
    if job.cancel_requested_at:
        found.append(
            Event(
                at=job.cancel_requested_at,
                kind="cancelled",
                text=f"Cancel asked for by {job.cancel_requested_by or 'somebody'}",
                detail=job.cancel_reason,
            )
        )
    found.sort(key=lambda event: event.at)
    if job.finished_at and found[-1].kind == job.status and found[-1].at >= job.finished_at:
        return found  # the last attempt's end is the job's
    return found + _latest(job)


def _created(job: JobStatus) -> Event:
    if job.schedule:
        by = f" by schedule {job.schedule}"
    elif job.created_by:
        by = f" by {job.created_by.get_username()}"
    else:
        by = ""
    return Event(at=job.created_at, kind="queued", text=f"Created{by}")


def _attempt(attempt: JobAttempt) -> list[Event]:
    where = f" on {attempt.worker_name}" if attempt.worker_name else ""
    error = f"{attempt.error_class}: {attempt.message}" if attempt.error_class else attempt.message
    return [
        Event(
            at=attempt.started_at, kind="started", text=f"Attempt {attempt.number} started{where}"
        ),
        Event(
            at=attempt.ended_at,
            kind=_kind(attempt),
            text=f"Attempt {attempt.number} {_WORDS.get(attempt.outcome, attempt.outcome)}",
            detail=error,
        ),
    ]


def _kind(attempt: JobAttempt) -> str:
    match attempt.outcome:
        case "snoozed":
            return "scheduled"
        case "given_back":
            return "queued"
        case outcome:
            return outcome


def _latest(job: JobStatus) -> list[Event]:
    match job.status:
        case Status.STARTED if job.started_at:
            text = f"Attempt {job.attempt} started"
            if job.worker:
                text += f" on {job.worker.name}"
            return [Event(at=job.started_at, kind="started", text=text)]
        case Status.SCHEDULED | Status.RETRYING:
            text = f"Attempt {job.attempt + 1} is due"
            return [Event(at=job.due_at, kind=job.status, text=text, is_ahead=True)]
        case _ if job.finished_at:
            return [Event(at=job.finished_at, kind=job.status, text=f"Ended {job.status}")]
    return []
