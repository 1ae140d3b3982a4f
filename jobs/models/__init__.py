"""The rows; one file a noun."""

from __future__ import annotations

from jobs.models.api_token import ApiToken
from jobs.models.attempt import JobAttempt
from jobs.models.checkpoint import JobCheckpoint
from jobs.models.dependency import JobDependency
from jobs.models.job_status import JobQuerySet, JobStatus
from jobs.models.lease import Lease
from jobs.models.rejected_row import JobRejectedRow
from jobs.models.schedule import Schedule, ScheduleChange
from jobs.models.schedule_run import Backfill, ScheduleRun
from jobs.models.worker import JobWorker

__all__ = [
    "ApiToken",
    "Backfill",
    "JobAttempt",
    "JobCheckpoint",
    "JobDependency",
    "JobQuerySet",
    "JobRejectedRow",
    "JobStatus",
    "JobWorker",
    "Lease",
    "Schedule",
    "ScheduleChange",
    "ScheduleRun",
]
