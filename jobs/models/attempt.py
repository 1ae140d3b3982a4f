"""One ended attempt of a job."""

from __future__ import annotations

from django.db import models

from jobs.models.job_status import JobStatus
from jobs.models.worker import JobWorker


class JobAttempt(models.Model):
    """Written in the statement that settles the attempt; never changed, never overwritten."""

    pk = models.CompositePrimaryKey("job_id", "claim")
    # No constraint: its check costs each settle more than the row itself. The settle, which alone
    # writes attempts, holds the job's row; a trigger deletes a deleted job's attempts.
    job = models.ForeignKey(
        JobStatus,
        on_delete=models.CASCADE,
        related_name="attempts",
        db_constraint=False,
        db_index=False,
    )
    number = models.IntegerField()  # may repeat after a snooze or a give-back
    claim = models.IntegerField()  # may not
    worker = models.ForeignKey(
        JobWorker,
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    worker_name = models.CharField(max_length=200, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    # What the attempt ended with: completed, failed, snoozed, cancelled, given_back.
    outcome = models.CharField(max_length=10)
    # What the job's row became: a failed attempt leads to retrying or failed.
    status = models.CharField(max_length=10)
    due_at = models.DateTimeField(null=True)  # when the next attempt may start, where one follows
    error_class = models.CharField(max_length=200, blank=True, default="")
    message = models.TextField(blank=True, default="")
    traceback = models.TextField(blank=True, default="")
    # Bytes, of the runner's process during this attempt; None where that can't be told.
    peak_memory = models.BigIntegerField(null=True)
    result = models.JSONField(null=True)

    class Meta:
        db_table = "job_attempts"
        verbose_name = "attempt"

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"
