"""Schedules with a past, straight into the tables: for tests of what shows or reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import Schedule, ScheduleRun
from jobs.statuses import TERMINAL, Status
from tests.make import make_job


def make_schedule(**fields: Any) -> Schedule:
    """Insert a schedule; without a word of settings', every night at two."""
    now = timezone.now()
    values = {"name": "nightly", "job_class": "Echo", "crons": ["0 2 * * *"], "queue": "low"}
    return Schedule.objects.create(
        **values | {"synced_at": now, "next_at": now + timedelta(hours=3, seconds=-5)} | fields
    )


def make_run(
    schedule: Schedule,
    logical_time: Any,
    status: Status | str = Status.COMPLETED,
    *,
    length: timedelta = timedelta(seconds=3),
    jobs: int = 1,
    **fields: Any,
) -> ScheduleRun:
    """Insert a run with its jobs of that status; of "skipped" and "refused" without a job."""
    job = None
    if status in set(Status):
        has_ended = status in TERMINAL
        times = {"started_at": logical_time, "finished_at": logical_time + length}
        made = [
            make_job(
                status=Status(status),
                job_class=schedule.job_class or "Echo",
                queue=schedule.queue or "default",
                schedule=schedule.name,
                logical_time=logical_time,
                created_at=logical_time,
                **(times if has_ended else {}),
            )
            for _ in range(jobs)
        ]
        job = made[0]
    values = {
        "outcome": "dispatched" if job else status,
        "job": job,
        "created_at": logical_time,
        "kind": "tick",
    }
    return ScheduleRun.objects.create(
        schedule_name=schedule.name, logical_time=logical_time, **values | fields
    )
