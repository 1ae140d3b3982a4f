"""What a supervisor and its runners tell each other: orders at the birth, then of each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.lifecycle import verdict
from jobs.models import JobStatus
from jobs.processes import channel
from jobs.runner.seen import Attempt

# Jobs in a message to the supervisor, which has a bound (channel.py).
SAID_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the supervisor tells a runner when it is made."""

    worker_id: UUID
    worker_name: str
    queues: list[str]
    rationed: bool  # claims only what the supervisor grants (--max-jobs)
    async_slots: int

    @classmethod
    def of_message(cls, message: channel.Message) -> Orders:
        """Return what stands in the message that the mother passes on."""
        return cls(
            worker_id=UUID(message["worker_id"]),
            worker_name=message["name"],
            queues=message["queues"],
            rationed=message["rationed"],
            async_slots=message["async_slots"],
        )


def attempt_of(job: JobStatus) -> Attempt:
    """Return what the supervisor must know of an attempt that begins."""
    timeout_seconds = verdict.timeout_of(job).total_seconds()
    return Attempt(str(job.id), job.claim, job.job_class, job.attempt, timeout_seconds)


def attempt_of_plain(entry_id: str, func_name: str | None, timeout_seconds: float) -> Attempt:
    """Return what the supervisor must know of a plain rq job that begins: it has no claim."""
    return Attempt(entry_id, 0, f"rq: {func_name}"[:200], 1, timeout_seconds)


def described(job: JobStatus) -> dict[str, Any]:
    """Return what the supervisor is told of an attempt that begins on the event loop."""
    return attempt_of(job)._asdict()
