"""A schedule, a rule for when; and its runs, one a tick."""

from __future__ import annotations

from django.db import models

from jobs.models.job_status import JobStatus


class Schedule(models.Model):
    """One entry of settings.JOB_SCHEDULES, written by schedules/sync.py."""

    name = models.CharField(max_length=100, primary_key=True)  # letters, digits, "_", "-"
    job_class = models.CharField(max_length=100)
    cron = models.CharField(max_length=100, blank=True, default="")  # this, or every
    every = models.DurationField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    params = models.JSONField(default=dict)
    queue = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, blank=True)  # the next tick's logical time
    synced_at = models.DateTimeField()

    class Meta:
        db_table = "job_schedules"

    def __str__(self) -> str:
        return self.name


class ScheduleRun(models.Model):
    """One tick: at most one row for a schedule and a logical time, however many schedulers run."""

    schedule_name = models.CharField(max_length=100)  # outlives the schedule
    logical_time = models.DateTimeField()  # the moment the tick stands for
    job = models.ForeignKey(JobStatus, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=20)  # dispatched, or why not
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "job_schedule_runs"
        verbose_name = "schedule run"
        constraints = [
            models.UniqueConstraint(
                fields=["schedule_name", "logical_time"], name="job_schedule_runs_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_name} at {self.logical_time:%Y-%m-%d %H:%M:%S%z}"
