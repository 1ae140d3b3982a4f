"""The begin of attempts: queued -> started, one compare-and-set for all that a worker claimed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from jobs.models import JobStatus, clock, locking
from jobs.statuses import Status, sources


def start(job_ids: Sequence[UUID], *, worker_id: UUID) -> list[JobStatus]:
    """Start those of `job_ids` that are still queued: queued -> started.

    One statement; run it in autocommit, where a deadlock or a serialization failure is repeated. A
    worker that was declared dead starts nothing.

    Args:
        job_ids: Claimed ids; duplicates and ids of cancelled or running jobs move no row.
        worker_id: The JobWorker row of this start of the worker.

    Returns:
        The rows that moved, in the order of `job_ids`; each with its new attempt and claim.
    """
    values = [list(job_ids), sorted(sources(Status.STARTED)), worker_id, worker_id]
    by_id = locking.repeat_on_conflict(
        lambda: {job.id: job for job in JobStatus.objects.raw(_statement(), values)}
    )
    return [by_id[job_id] for job_id in dict.fromkeys(job_ids) if job_id in by_id]


def _statement() -> str:
    # By primary key; locked in id order first, as every statement that moves several rows.
    return f"""
        WITH locked AS MATERIALIZED (
            SELECT id FROM job_statuses
            WHERE id = ANY(%s) AND status = ANY(%s)
                AND EXISTS (SELECT 1 FROM job_workers WHERE id = %s AND dead_at IS NULL)
            ORDER BY id FOR UPDATE)
        UPDATE job_statuses j SET
            status = 'started', attempt = j.attempt + 1, claim = j.claim + 1, worker_id = %s,
            started_at = {clock.WALL}, updated_at = {clock.NOW}, finished_at = NULL,
            progress = NULL, error = ''
        FROM locked WHERE j.id = locked.id
        RETURNING j.*
    """
