"""Rows in any status, straight into the table: for tests of what reads or moves them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import JobAttempt, JobStatus, JobWorker
from jobs.statuses import TERMINAL, Status


def make_job(*, status: Status = Status.QUEUED, **fields: Any) -> JobStatus:
    """Insert a job that looks as one in `status` does."""
    now = timezone.now()
    has_run = status not in {Status.SCHEDULED, Status.WAITING, Status.QUEUED}
    values: dict[str, Any] = {
        "job_class": "Echo",
        "queue": "default",
        "params": {"value": "x"},
        "max_attempts": 5,
        "created_at": now,
        "updated_at": now,
        "due_at": now + timedelta(hours=1)
        if status in {Status.SCHEDULED, Status.RETRYING}
        else now,
        "attempt": 1 if has_run else 0,
        "claim": 1 if has_run else 0,
        "started_at": now if has_run else None,
        "finished_at": now if status in TERMINAL else None,
        "result": {"value": "x"} if status == Status.COMPLETED else None,
        "error": "ValueError: no" if status in {Status.FAILED, Status.RETRYING} else "",
        "held_by": "approval" if status == Status.WAITING else "",
    }
    return JobStatus.objects.create(status=status, **(values | fields))


def make_attempt(job: JobStatus, **fields: Any) -> JobAttempt:
    """Insert an ended attempt of `job`, a failed one where nothing else is said."""
    now = timezone.now()
    values: dict[str, Any] = {
        "number": job.attempt or 1,
        "claim": job.claim or 1,
        "started_at": now - timedelta(seconds=1),
        "ended_at": now,
        "outcome": "failed",
        "status": job.status,
        "error_class": "ValueError",
        "message": "no",
        "traceback": "Traceback (most recent call last):\n  ...\nValueError: no\n",
    }
    return JobAttempt.objects.create(job=job, **(values | fields))


def make_worker(**fields: Any) -> JobWorker:
    """Insert a living worker."""
    now = timezone.now()
    values: dict[str, Any] = {
        "name": "worker-1",
        "host": "localhost",
        "pid": 1,
        "queues": ["high", "low"],
        "started_at": now,
        "heartbeat_at": now,
    }
    return JobWorker.objects.create(**(values | fields))
