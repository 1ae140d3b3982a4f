"""Jobs, attempts and backfills as JSON values; their names are those of the REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs import registry
from jobs.insights import branch, explain, rows
from jobs.insights.backfills import Progress
from jobs.insights.branch import Node
from jobs.models import Backfill, JobAttempt, JobStatus


def summary(job: JobStatus) -> dict[str, Any]:
    """Return what a list shows of a job: neither params nor result."""
    return {
        "id": str(job.id),
        "status": job.status,
        "job": job.job_class,
        "queue": job.queue,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "progress": job.progress,
        "error": job.error,
        "tags": job.tags,
        "schedule": job.schedule or None,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "due_at": job.due_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def whole(job: JobStatus, attempts: Sequence[JobAttempt]) -> dict[str, Any]:
    """Return all of a job, its params redacted."""
    return {
        **summary(job),
        "explanation": explain.explain(job),
        "params": registry.shown_params(job.job_class, job.params),
        "result": job.result,
        "logical_time": job.logical_time,
        "created_by": job.created_by.get_username() if job.created_by else None,
        "worker": job.worker.name if job.worker else None,
        "held_by": job.held_by or None,
        "losses": job.losses,
        "interruptions": job.interruptions,
        "cancel_requested_at": job.cancel_requested_at,
        "cancel_requested_by": job.cancel_requested_by or None,
        "cancel_reason": job.cancel_reason or None,
        "rows": _rows(job),
        "depends_on": [_named(node) for node in branch.parents(job.id)],
        "dependents": [_named(node) for node in branch.dependents(job.id)],
        "attempts": [_attempt(attempt) for attempt in attempts],
    }


def _rows(job: JobStatus) -> dict[str, int] | None:
    found = rows.rows_of(job.id)
    return None if found is None else found.counts()


def _named(node: Node) -> dict[str, Any]:
    return {
        "id": str(node.job_id),
        "job": node.job_class,
        "status": node.status,
        "step": node.step or None,
    }


def _attempt(attempt: JobAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "worker": attempt.worker_name or None,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "due_at": attempt.due_at,
        "error_class": attempt.error_class or None,
        "message": attempt.message,
        "traceback": attempt.traceback,
        "peak_memory": attempt.peak_memory,
        "result": attempt.result,
    }


def backfill(row: Backfill) -> dict[str, Any]:
    """Return all of a backfill's row."""
    return {
        "id": row.pk,
        "schedule": row.schedule_name,
        "status": row.status,
        "from": row.from_at,
        "to": row.to_at,
        "newest_first": row.newest_first,
        "max_active": row.max_active,
        "only": row.only,
        "total": row.total,
        "made": row.made,
        "passed": row.passed,
        "cursor": row.cursor,
        "reason": row.reason or None,
        "made_by": row.made_by or None,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def backfill_progress(progress: Progress) -> dict[str, Any]:
    """Return a backfill with the counts of its runs."""
    return {
        **backfill(progress.backfill),
        "completed": progress.completed,
        "failed": progress.failed,
        "living": progress.living,
        "refused": progress.refused,
    }
