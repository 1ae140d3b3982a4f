"""The runs of schedules, one a moment; and backfills, which make those of the past."""

from __future__ import annotations

from django.db import models

from jobs.models.job_status import JobStatus


class Backfill(models.Model):
    """Runs of past moments that somebody asks for, made a few at a time by rqscheduler."""

    class Only(models.TextChoices):
        """Which moments it is about."""

        MISSING = "missing"  # no job was made
        FAILED = "failed"  # its job failed or was cancelled
        ALL = "all"

    class Status(models.TextChoices):
        """Where it is."""

        RUNNING = "running"
        STOPPED = "stopped"  # may be continued
        COMPLETED = "completed"  # every moment is looked at, and its jobs have ended

    schedule_name = models.CharField(max_length=100)
    from_at = models.DateTimeField()  # the first moment; included
    to_at = models.DateTimeField()  # the last; included
    newest_first = models.BooleanField(default=False)
    max_active = models.IntegerField(default=2)  # so many of its runs live at once
    only = models.CharField(max_length=10, choices=Only.choices, default=Only.MISSING)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    cursor = models.DateTimeField(null=True, blank=True)  # the last moment that was looked at
    total = models.IntegerField(default=0)  # moments, as the rule was when it was started
    made = models.IntegerField(default=0)  # runs so far
    passed = models.IntegerField(default=0)  # moments that needed none
    made_by = models.CharField(max_length=150, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")  # why it is stopped
    created_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True, blank=True)  # when a scheduler last saw to it
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "job_backfills"
        indexes = [models.Index(fields=["status", "id"], name="job_backfills_by_status")]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule_name"],
                condition=models.Q(status="running"),
                name="job_backfills_one_runs",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_name}: {self.from_at:%Y-%m-%d} to {self.to_at:%Y-%m-%d}"


class ScheduleRun(models.Model):
    """One moment that was handled: at most one row for a schedule and a logical time, ever.

    Its jobs, several where the schedule is a workflow, bear the same `schedule` and `logical_time`.
    """

    class Outcome(models.TextChoices):
        """What was done."""

        DISPATCHED = "dispatched"
        SKIPPED = "skipped"  # no job, on purpose; the reason says why
        REFUSED = "refused"  # the job could not be made; the reason says why

    class Kind(models.TextChoices):
        """Who asked for it."""

        TICK = "tick"
        MANUAL = "manual"  # a person's "run now"; its logical time is when that was
        BACKFILL = "backfill"

    schedule_name = models.CharField(max_length=100)  # outlives the schedule
    logical_time = models.DateTimeField()  # the moment the run stands for
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    reason = models.TextField(blank=True, default="")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.TICK)
    made_by = models.CharField(max_length=150, blank=True, default="")  # a person, or nobody
    # The only job, or the first of a workflow; gone when it is pruned.
    job = models.ForeignKey(JobStatus, null=True, on_delete=models.SET_NULL, related_name="+")
    # The worst terminal status among its jobs that are pruned.
    kept_status = models.CharField(max_length=10, blank=True, default="")
    backfill = models.ForeignKey(
        Backfill, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
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
