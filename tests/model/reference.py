"""What a job's row must be after each deed: the state machine once more, in plain Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from jobs.lifecycle.outcomes import (
    Cancelled,
    Completed,
    Failed,
    GivenBack,
    Outcome,
    Snoozed,
    Unbegun,
)
from jobs.statuses import TERMINAL, TRANSITIONS, Status

Minutes = float  # of the tests' clock


@dataclass(slots=True, kw_only=True)
class Row:
    """One job, as its row must be."""

    id: UUID
    queue: str
    status: Status
    max_attempts: int
    due_at: Minutes
    attempt: int = 0
    claim: int = 0
    losses: int = 0
    interruptions: int = 0
    worker: UUID | None = None
    is_cancel_requested: bool = False
    finished_at: Minutes | None = None
    # claim -> number, outcome, status: the attempts that have ended.
    attempts: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)  # moves made, of all jobs
    runs_again: int = 0  # how often a person ran it again after it completed

    def move(self, to: Status, now: Minutes) -> None:
        """Move; every move of the model itself must be a legal one."""
        assert to in TRANSITIONS[self.status], (self.status, to)
        if to == Status.QUEUED:
            self.claim += 1
        self.seen[f"{self.status} -> {to}"] += 1
        self.status = to
        self.finished_at = now if to in TERMINAL else None

    def start(self, worker: UUID, now: Minutes) -> None:
        """A worker begins an attempt."""
        self.move(Status.STARTED, now)
        self.attempt += 1
        self.claim += 1
        self.worker = worker

    @property
    def goes_alone(self) -> bool:
        """Whether it is never started beside others."""
        return self.attempt + 1 >= self.max_attempts

    def settle(self, outcome: Outcome, now: Minutes) -> None:
        """The running attempt ends."""
        number, claim = self.attempt, self.claim
        status, name, wait, is_spent = _end(outcome)
        if self.is_cancel_requested and status != Status.COMPLETED:
            status, wait = Status.CANCELLED, None
        self.attempt -= 0 if is_spent else 1
        self.losses += outcome.loss if isinstance(outcome, Failed) else 0
        self.interruptions += isinstance(outcome, GivenBack)
        if wait is not None:
            self.due_at = now + wait
        self.move(status, now)
        if not isinstance(outcome, Unbegun):
            self.attempts[claim] = (number, name, status.value)

    def cancel(self, now: Minutes) -> str:
        """A person cancels; return what they are told."""
        if self.status == Status.STARTED:
            told = "refused" if self.is_cancel_requested else "asked"
            self.is_cancel_requested = True
            return told
        if self.status in TERMINAL:
            return "refused"
        self.is_cancel_requested = True
        self.move(Status.CANCELLED, now)
        return "moved"

    def retry(self, now: Minutes) -> str:
        """A person retries, or runs again; return what they are told."""
        if self.status not in TERMINAL:
            return "refused"
        self.runs_again += self.status == Status.COMPLETED
        self.move(Status.QUEUED, now)
        self.max_attempts = max(self.max_attempts, self.attempt + 1)
        self.losses = self.interruptions = 0
        self.is_cancel_requested = False
        self.due_at = now
        return "moved"

    def promote(self, now: Minutes) -> None:
        """Its time has come."""
        assert self.due_at <= now
        self.move(Status.QUEUED, now)
        self.due_at = now


def _end(outcome: Outcome) -> tuple[Status, str, Minutes | None, bool]:
    """Return the status it leads to, its name, the wait, and whether the attempt is spent."""
    wait = None
    match outcome:
        case Completed():
            status, name = Status.COMPLETED, "completed"
        case Failed():
            wait, name = outcome.wait, "failed"
            status = Status.FAILED if wait is None else Status.RETRYING
        case Snoozed():
            status, name, wait = Status.SCHEDULED, "snoozed", outcome.delay
        case Cancelled():
            status, name = Status.CANCELLED, "cancelled"
        case GivenBack() | Unbegun():
            status, name = Status.QUEUED, "given_back"
    is_spent = not isinstance(outcome, Snoozed | GivenBack | Unbegun)
    return status, name, None if wait is None else wait.total_seconds() / 60, is_spent
