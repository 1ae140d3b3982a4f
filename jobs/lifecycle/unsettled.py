"""Settlements that moved no row: recorded by a commit that broke, held by somebody, or too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from jobs.lifecycle import encode
from jobs.lifecycle.outcomes import Settlement
from jobs.lifecycle.settle import Settled
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import Status

_READ = ("status", "claim", "queue", "job_class", "error", "has_dependents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the rows say; a settlement of which neither is said came too late."""

    recorded: list[Settled] = field(default_factory=list)  # by us: its answer was lost
    held: set[UUID] = field(default_factory=set)  # somebody holds the row of the running attempt
    running: set[UUID] = field(default_factory=set)  # nobody does: it may be settled now


def look(settlements: Sequence[Settlement]) -> Found:
    """Return what has become of attempts that `settle` was given and did not return.

    Run it in autocommit; waits for no row.
    """
    ids = [settlement.job_id for settlement in settlements]
    free = _free(ids)
    found = Found()
    jobs = JobStatus.objects.only(*_READ).in_bulk(ids)
    attempts = {
        (attempt.job_id, attempt.claim): attempt
        for attempt in JobAttempt.objects.filter(job_id__in=ids).defer("traceback", "result")
    }
    for settlement in settlements:
        job = jobs.get(settlement.job_id)
        if job is None:
            continue
        attempt = attempts.get((settlement.job_id, settlement.claim))
        if attempt is not None:
            if (attempt.outcome, attempt.error_class) == encode.kind(settlement.outcome):
                found.recorded.append(_settled(job, attempt))
        elif (job.status, job.claim) == (Status.STARTED, settlement.claim):
            (found.running if job.id in free else found.held).add(job.id)
    return found


def _free(ids: Sequence[UUID]) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM job_statuses WHERE id = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED",
            [list(ids)],
        )
        return {job_id for (job_id,) in cursor.fetchall()}


def _settled(job: JobStatus, attempt: JobAttempt) -> Settled:
    return Settled(
        job_id=job.id,
        claim=attempt.claim,
        status=Status(attempt.status),
        queue=job.queue,
        error=job.error,
        wait=None if attempt.due_at is None else attempt.due_at - attempt.ended_at,
        job_class=job.job_class,
        attempt=attempt.number,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        has_dependents=job.has_dependents,
    )
