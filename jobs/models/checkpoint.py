"""How far a job has come, across its attempts."""

from __future__ import annotations

from django.db import models

from jobs.models.job_status import JobStatus


class JobCheckpoint(models.Model):
    """One row for each job that records how far it is; written by the attempt that bears `claim`.

    Goes with its job; a completed job that is run again begins without it.
    """

    # No constraint: each batch would lock the job's row for its check. A trigger deletes it.
    job = models.OneToOneField(
        JobStatus,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="checkpoint",
        db_constraint=False,
    )
    # Of the attempt that took the checkpoint over; an attempt of a lower claim writes no more.
    claim = models.IntegerField()
    # Of the attempt that last recorded another position than it found; null: none has.
    moved_claim = models.IntegerField(null=True)
    position = models.JSONField(null=True)  # the job's own word for how far it is
    rows_in = models.BigIntegerField(default=0)
    rows_out = models.BigIntegerField(default=0)
    rows_rejected = models.BigIntegerField(default=0)  # all, of which the first are kept
    # What the job returns, once all it does is committed and only its end is still to be recorded.
    result = models.JSONField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "job_checkpoints"
        verbose_name = "checkpoint"
        default_permissions = ()

    def __str__(self) -> str:
        return f"checkpoint of {self.job_id}"
