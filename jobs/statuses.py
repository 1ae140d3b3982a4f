"""The eight statuses of a job and every legal move between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """Where a job is in its life; the value is what the row holds."""

    SCHEDULED = "scheduled"  # waits for due_at
    WAITING = "waiting"  # held on purpose; held_by says what for
    QUEUED = "queued"  # may start now
    STARTED = "started"  # a worker holds it
    RETRYING = "retrying"  # an attempt failed; the next is due at due_at
    COMPLETED = "completed"  # _perform returned
    FAILED = "failed"  # attempts used up, or an error that is not retried
    CANCELLED = "cancelled"  # stopped on purpose


class HeldBy(StrEnum):
    """What a waiting job waits for."""

    DEPENDENCY = "dependency"
    LIMIT = "limit"
    APPROVAL = "approval"


class OnParentFailure(StrEnum):
    """What becomes of a job when one that it depends on fails or is cancelled."""

    CANCEL = "cancel"
    RUN = "run"  # it runs all the same, once all have ended


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.WAITING: frozenset({Status.QUEUED, Status.SCHEDULED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.STARTED, Status.WAITING, Status.CANCELLED}),
    Status.STARTED: frozenset(
        {
            Status.COMPLETED,
            Status.RETRYING,
            Status.SCHEDULED,  # snooze
            Status.QUEUED,  # given back
            Status.FAILED,
            Status.CANCELLED,
        }
    ),
    Status.RETRYING: frozenset({Status.QUEUED, Status.CANCELLED}),
    # Only by a person's "run again", and waiting where a parent runs again with it.
    Status.COMPLETED: frozenset({Status.QUEUED, Status.WAITING}),
    # Only by a person's retry, and waiting where a parent is retried with it.
    Status.FAILED: frozenset({Status.QUEUED, Status.WAITING}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.WAITING}),
}

TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
LIVING = frozenset(Status) - TERMINAL

# Of several jobs that count as one, a workflow's, the first of these is how it stands with them.
WORST_FIRST = (
    Status.FAILED,
    Status.CANCELLED,
    Status.RETRYING,
    Status.STARTED,
    Status.QUEUED,
    Status.SCHEDULED,
    Status.WAITING,
    Status.COMPLETED,
)

# rq's word for each status, for the django-rq dashboard; rq knows no other words.
RQ_STATUS: Mapping[Status, str] = {
    Status.SCHEDULED: "scheduled",
    Status.WAITING: "deferred",
    Status.QUEUED: "queued",
    Status.STARTED: "started",
    Status.RETRYING: "scheduled",
    Status.COMPLETED: "finished",
    Status.FAILED: "failed",
    Status.CANCELLED: "canceled",
}


def sources(target: Status) -> frozenset[Status]:
    """Return the statuses from which a job may move to `target`."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)
