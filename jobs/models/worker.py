"""One start of a worker process."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from jobs.models.job_status import new_job_id


class JobWorker(models.Model):
    """A fresh row at each start; the name is a label that a later start may bear again."""

    id = models.UUIDField(primary_key=True, default=new_job_id, editable=False)
    name = models.CharField(max_length=200)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    # Tells the process from all that ever had its pid; "" where that is unknown.
    birthmark = models.CharField(max_length=400, blank=True, default="", db_default="")
    queues = ArrayField(models.CharField(max_length=100))
    concurrency = models.IntegerField(default=1)
    release = models.CharField(max_length=100, blank=True, default="")
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()  # by the worker's keeper, every JOBS["HEARTBEAT"]
    stopped_at = models.DateTimeField(null=True)  # set by its orderly end
    dead_at = models.DateTimeField(null=True)  # set by the leader's rescue; dead stays dead
    # One item a runner: {"pid", "job_id", "claim", "job_class", "attempt", "started_at"}; where it
    # runs async jobs {"async_count", "async_classes", "async": some of them} too; by the keeper.
    runners = models.JSONField(default=list)

    class Meta:
        db_table = "job_workers"
        verbose_name = "worker"
        indexes = [
            models.Index(
                fields=["heartbeat_at"],
                name="job_workers_running",
                condition=models.Q(stopped_at__isnull=True, dead_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name
