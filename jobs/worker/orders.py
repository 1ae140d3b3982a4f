"""What a supervisor and its runners tell each other: orders at the birth, then of each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.lifecycle import verdict
from jobs.models import JobStatus
from jobs.processes import channel


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


def described(job: JobStatus) -> dict[str, Any]:
    """Return what the supervisor is told of an attempt that begins."""
    return {
        "job_id": str(job.id),
        "claim": job.claim,
        "job_class": job.job_class,
        "attempt": job.attempt,
        "timeout_seconds": verdict.timeout_of(job).total_seconds(),
    }


def described_plain(entry_id: str, func_name: str | None, timeout_seconds: float) -> dict[str, Any]:
    """Return what the supervisor is told of a plain rq job that begins: it has no claim."""
    return {
        "job_id": entry_id,
        "claim": 0,
        "job_class": f"rq: {func_name}"[:200],
        "attempt": 1,
        "timeout_seconds": timeout_seconds,
    }
