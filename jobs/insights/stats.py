"""Counts and waits across jobs, each cheap on a table of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from jobs.models import JobStatus, clock
from jobs.statuses import Status

CAP = 1_000  # nobody reads a larger number; everything else is "1000+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of jobs, perhaps only "at least"."""

    value: int
    is_capped: bool

    def __str__(self) -> str:
        return f"{self.value}+" if self.is_capped else str(self.value)


def counts_by_status() -> Mapping[Status, Count]:
    """Count the jobs in each status up to `CAP`: one statement, by job_statuses_by_status.

    In that index's order: a status of which there are none would have the whole table read.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.status, counted.number FROM unnest(%s::text[]) AS s(status)
            CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                SELECT 1 FROM job_statuses WHERE status = s.status
                ORDER BY created_at DESC LIMIT %s) AS f) AS counted
            """,
            [[status.value for status in Status], CAP + 1],
        )
        rows = cursor.fetchall()
    return {
        Status(status): Count(value=min(number, CAP), is_capped=number > CAP)
        for status, number in rows
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """What waits and runs in one queue now."""

    queue: str
    queued: Count
    started: Count
    oldest_due_at: datetime | None  # of the queued ones
    oldest_wait: timedelta | None


def queue_loads(queues: tuple[str, ...]) -> list[QueueLoad]:
    """Return the load of each of `queues`: one statement.

    What waits is counted in the order of the index job_statuses_due, what runs in that of
    job_statuses_by_status: as above.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT q.name, waiting.number, running.number, oldest.due_at,
                {clock.NOW} - oldest.due_at
            FROM unnest(%s::text[]) WITH ORDINALITY AS q(name, place)
            CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                SELECT 1 FROM job_statuses
                WHERE status = 'queued' AND queue = q.name
                ORDER BY due_at LIMIT %s) AS w) AS waiting
            CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                SELECT 1 FROM job_statuses
                WHERE status = 'started' AND queue = q.name
                ORDER BY created_at LIMIT %s) AS r) AS running
            LEFT JOIN LATERAL (SELECT due_at FROM job_statuses
                WHERE status = 'queued' AND queue = q.name
                ORDER BY due_at, id LIMIT 1) AS oldest ON true
            ORDER BY q.place
            """,
            [list(queues), CAP + 1, CAP + 1],
        )
        rows = cursor.fetchall()
    return [
        QueueLoad(
            queue=name,
            queued=Count(value=min(queued, CAP), is_capped=queued > CAP),
            started=Count(value=min(started, CAP), is_capped=started > CAP),
            oldest_due_at=due_at,
            oldest_wait=wait,
        )
        for name, queued, started, due_at, wait in rows
    ]


def count_before(job: JobStatus) -> Count:
    """Count the queued jobs that stand before `job` in its queue's order, up to `CAP`."""
    before = JobStatus.objects.filter(
        status=Status.QUEUED, queue=job.queue, due_at__lte=job.due_at
    ).exclude(due_at=job.due_at, id__gte=job.id)
    # In the index's order: else PostgreSQL may think that the table itself has so many soon enough.
    number = before.order_by("-due_at", "-id")[: CAP + 1].count()
    return Count(value=min(number, CAP), is_capped=number > CAP)


def latest_failures(count: int) -> list[JobStatus]:
    """Return the latest failures of the `CAP` newest failed jobs, without params and result."""
    newest = JobStatus.objects.filter(status=Status.FAILED).order_by("-created_at", "-id")
    return list(
        JobStatus.objects.filter(id__in=newest.values("id")[:CAP], status=Status.FAILED)
        .defer("params", "result")
        .order_by("-finished_at")[:count]
    )
