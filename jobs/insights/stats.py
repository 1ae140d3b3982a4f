"""Counts and waits across jobs, each cheap on a table of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from jobs.models import JobStatus, clock
from jobs.statuses import LIVING, TERMINAL, Status

CAP = 1_000  # nobody reads a larger number; everything else is "1000+"
RECENT = 10_000  # ended jobs are counted among so many of the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of jobs, perhaps only "at least"."""

    value: int
    is_capped: bool

    def __str__(self) -> str:
        return f"{self.value}+" if self.is_capped else str(self.value)


def counts_by_status() -> Mapping[Status, Count]:
    """Count the jobs in each status: one statement.

    Living ones up to `CAP` by the index job_statuses_living; ended ones among the `RECENT` newest
    by job_statuses_newest, so that a table of millions of them costs what a small one does.
    """
    living = " UNION ALL ".join(
        "(SELECT status FROM job_statuses WHERE status = %s LIMIT %s)" for _ in LIVING
    )
    values: list[str | int] = [value for status in sorted(LIVING) for value in (status, CAP + 1)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH recent AS (
                SELECT status FROM job_statuses ORDER BY created_at DESC, id DESC LIMIT %s),
            counted AS ({living} UNION ALL (SELECT status FROM recent WHERE status = ANY(%s)))
            SELECT status, count(*), (SELECT count(*) FROM recent) FROM counted GROUP BY status
            """,
            [RECENT, *values, sorted(TERMINAL)],
        )
        rows = cursor.fetchall()
    found = {Status(status): (number, recent) for status, number, recent in rows}
    return {status: _count(status, *found.get(status, (0, 0))) for status in Status}


def _count(status: Status, number: int, recent: int) -> Count:
    is_partial = status in TERMINAL and recent >= RECENT and number > 0
    return Count(value=min(number, CAP), is_capped=number > CAP or is_partial)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """What waits and runs in one queue now."""

    queue: str
    queued: Count
    started: Count
    oldest_due_at: datetime | None  # of the queued ones
    oldest_wait: timedelta | None


def queue_loads(queues: tuple[str, ...]) -> list[QueueLoad]:
    """Return the load of each of `queues`: one statement, by the index job_statuses_living."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT q.name, waiting.number, running.number, oldest.due_at,
                {clock.NOW} - oldest.due_at
            FROM unnest(%s::text[]) WITH ORDINALITY AS q(name, place)
            CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                SELECT 1 FROM job_statuses
                WHERE status = 'queued' AND queue = q.name LIMIT %s) AS w) AS waiting
            CROSS JOIN LATERAL (SELECT count(*) AS number FROM (
                SELECT 1 FROM job_statuses
                WHERE status = 'started' AND queue = q.name LIMIT %s) AS r) AS running
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
    number = before[: CAP + 1].count()
    return Count(value=min(number, CAP), is_capped=number > CAP)


def latest_failures(count: int) -> list[JobStatus]:
    """Return the newest failed jobs among the `RECENT` newest of all, without params and result."""
    recent = JobStatus.objects.order_by("-created_at", "-id").values("id")[:RECENT]
    return list(
        JobStatus.objects.filter(id__in=recent, status=Status.FAILED)
        .defer("params", "result")
        .order_by("-finished_at")[:count]
    )
