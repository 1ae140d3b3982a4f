"""An edge between jobs: one waits until the other has ended."""

from __future__ import annotations

from django.db import models

from jobs.models.job_status import JobStatus
from jobs.statuses import OnParentFailure


class JobDependency(models.Model):
    """Written with the job that waits; deleted, by a trigger, with either of its jobs."""

    pk = models.CompositePrimaryKey("job_id", "parent_id")
    # No constraints: the check would lock the parent's row until the caller's transaction ends.
    job = models.ForeignKey(
        JobStatus,
        on_delete=models.CASCADE,
        related_name="dependencies",
        db_constraint=False,
        db_index=False,
    )
    parent = models.ForeignKey(
        JobStatus, on_delete=models.CASCADE, related_name="dependents", db_constraint=False
    )
    number = models.IntegerField()  # the parent's place among those of the job, from 0
    # The names of both in their workflow; empty outside of one.
    step = models.CharField(max_length=100, blank=True, default="")
    parent_step = models.CharField(max_length=100, blank=True, default="")
    on_parent_failure = models.CharField(
        max_length=6, choices=[(choice.value, choice.value) for choice in OnParentFailure]
    )
    # The job's claim when this parent's failure cancelled it; while it still bears that claim and
    # is cancelled, the parent's retry revives it. None: it wasn't this parent.
    broken_claim = models.IntegerField(null=True)

    class Meta:
        db_table = "job_dependencies"
        verbose_name = "dependency"
        verbose_name_plural = "dependencies"

    def __str__(self) -> str:
        return f"{self.job_id} waits for {self.parent_id}"
