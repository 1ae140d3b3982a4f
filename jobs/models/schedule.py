"""A schedule: when to make which jobs, and what to do where its moments are in the way."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Schedule(models.Model):
    """One schedule: of settings.JOB_SCHEDULES, kept by schedules/sync.py, or made in the admin."""

    class Source(models.TextChoices):
        """Who may change it."""

        SETTINGS = "settings"
        ADMIN = "admin"

    class Overlap(models.TextChoices):
        """What a moment does whose predecessors' jobs are still living."""

        SKIP = "skip"  # makes none
        QUEUE = "queue"  # waits for them, unless one waits already
        QUEUE_ALL = "queue_all"  # waits for them
        ALLOW = "allow"  # starts beside them
        CANCEL_RUNNING = "cancel_running"  # cancels them, and starts when they have ended

    name = models.CharField(max_length=100, primary_key=True)  # letters, digits, "_", "-"
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.SETTINGS)
    job_class = models.CharField(max_length=100, blank=True, default="")  # this, or steps
    # A workflow: {step: {"job": str, "params": {}, "queue": str, "after": [step], ...}}.
    steps = models.JSONField(null=True, blank=True)
    crons = ArrayField(models.CharField(max_length=100), default=list, blank=True)  # or every
    every = models.DurationField(null=True, blank=True)  # counted from start_at, else from 1970
    timezone = models.CharField(max_length=64, default="UTC")  # of the cron lines
    start_at = models.DateTimeField(null=True, blank=True)  # no moment before it
    end_at = models.DateTimeField(null=True, blank=True)  # no moment after it
    params = models.JSONField(default=dict, blank=True)  # texts may hold {logical_time} and others
    queue = models.CharField(max_length=100, blank=True, default="")  # empty: the job class's own
    overlap = models.CharField(max_length=20, choices=Overlap.choices, default=Overlap.SKIP)
    # Of missed moments: "none", "last", or how far back all of them are made, as "1h 30m".
    catch_up = models.CharField(max_length=20, default="last")
    jitter = models.DurationField(default=timedelta(0))  # a job starts up to so much later
    enabled = models.BooleanField(default=True)
    # While set, its moments are recorded as skipped.
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    pause_note = models.CharField(max_length=500, blank=True, default="")
    next_at = models.DateTimeField(null=True, blank=True)  # the next tick's logical time
    synced_at = models.DateTimeField()  # when it was last written, by sync or by a person

    class Meta:
        db_table = "job_schedules"
        indexes = [
            models.Index(
                fields=["next_at"],
                name="job_schedules_due",
                condition=models.Q(enabled=True, next_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused it."""
        return self.paused_at is not None

    @property
    def is_of_settings(self) -> bool:
        """Whether only settings.JOB_SCHEDULES can change it."""
        return self.source == self.Source.SETTINGS


class ScheduleChange(models.Model):
    """Who changed what of a schedule; kept after the schedule is gone."""

    schedule_name = models.CharField(max_length=100)
    at = models.DateTimeField()
    by = models.CharField(max_length=150)  # a person, or "settings"
    verb = models.CharField(max_length=20)  # created, changed, deleted, paused, resumed, ran
    what = models.JSONField(default=dict)  # {field: [old, new]}
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        db_table = "job_schedule_changes"
        indexes = [models.Index(fields=["schedule_name", "at"], name="job_schedule_changes_of")]

    def __str__(self) -> str:
        return f"{self.schedule_name}: {self.verb} by {self.by}"
