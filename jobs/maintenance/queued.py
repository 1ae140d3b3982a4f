"""The relay's reads and its one move: which rows are due, which are queued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from jobs import conf
from jobs.dispatch import outbox
from jobs.models import JobStatus, clock, locking
from jobs.statuses import Status, sources

# Promoted by time alone; what waits is let go by whatever holds it.
TIMED = sources(Status.QUEUED) & {Status.SCHEDULED, Status.RETRYING}


# What a push needs of a row, and its place in the order; the others are left in the table.
PUSHED = (*outbox.PUSHED, "due_at")


class Queued(NamedTuple):
    """A queued row, as far as the relay compares it."""

    job_id: UUID
    claim: int
    due_at: datetime


def promote(timed: Status, *, limit: int) -> list[JobStatus]:
    """Move up to `limit` due rows from `timed`, one of TIMED, to queued; return them in order.

    Only PUSHED is loaded of them.

    One statement, in autocommit. Rows that somebody else locks are left to the next pass. Looks
    into `job_statuses_due` once for each queue, however many rows are not yet due.
    """
    moved = locking.repeat_on_conflict(
        lambda: list(JobStatus.objects.raw(_promote(timed), [limit, limit]))
    )
    return sorted(moved, key=lambda job: (job.due_at, job.id))


def _promote(timed: Status) -> str:
    # The rows keep the order in which they came due, none later than this moment.
    now = clock.NOW
    return f"""
        {_lanes(timed)},
        due AS MATERIALIZED (
            SELECT d.id, row_number() OVER (ORDER BY d.due_at DESC, d.id DESC) - 1 AS followers
            FROM lane l, LATERAL (
                SELECT j.id, j.due_at FROM job_statuses j
                WHERE j.status = '{timed}' AND j.queue = l.queue AND j.due_at <= {now}
                ORDER BY j.due_at, j.id LIMIT %s) AS d
            ORDER BY d.due_at, d.id LIMIT %s),
        locked AS MATERIALIZED (
            SELECT j.id FROM job_statuses j
            WHERE j.id = ANY(ARRAY(SELECT id FROM due)) AND j.status = '{timed}'
                AND j.due_at <= {now}
            ORDER BY j.id FOR UPDATE SKIP LOCKED)
        UPDATE job_statuses j SET
            status = 'queued', claim = j.claim + 1, updated_at = {now},
            due_at = {now} - make_interval(secs => due.followers * 0.000001)
        FROM due JOIN locked USING (id) WHERE j.id = due.id
        RETURNING {", ".join(f"j.{column}" for column in PUSHED)}
    """


def _lanes(status: Status) -> str:
    # The queues that have rows in this status: a loose index scan, one descent for each.
    return f"""
        WITH RECURSIVE lane AS (
            SELECT min(queue) AS queue FROM job_statuses WHERE status = '{status}'
            UNION ALL
            SELECT (SELECT min(j.queue) FROM job_statuses j
                WHERE j.status = '{status}' AND j.queue > l.queue)
            FROM lane l WHERE l.queue IS NOT NULL)
    """


def queues() -> list[str]:
    """Return the queues that have queued rows: one look into `job_statuses_due` for each."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_lanes(Status.QUEUED)} SELECT queue FROM lane WHERE queue IS NOT NULL")
        return [queue for (queue,) in cursor.fetchall()]


def overdue(*, limit: int) -> dict[str, list[Queued]]:
    """Return those of each queue's oldest `limit` rows that are older than JOBS["LOST_AFTER"].

    By `job_statuses_due`; a row younger than that may be on its way to Redis. One from the future,
    beyond that, is from before the database's clock was set back.
    """
    wait_seconds = conf.current().lost_after.total_seconds()
    found: dict[str, list[Queued]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_overdue(), [limit, wait_seconds, wait_seconds])
        for queue, *row in cursor.fetchall():
            found.setdefault(queue, []).append(Queued(*row))
    return found


def _overdue() -> str:
    return f"""
        {_lanes(Status.QUEUED)}
        SELECT l.queue, q.id, q.claim, q.due_at
        FROM lane l, LATERAL (
            SELECT j.id, j.claim, j.due_at, j.updated_at FROM job_statuses j
            WHERE j.status = 'queued' AND j.queue = l.queue
            ORDER BY j.due_at, j.id LIMIT %s) AS q
        WHERE q.updated_at NOT BETWEEN {clock.NOW} - make_interval(secs => %s)
            AND {clock.NOW} + make_interval(secs => %s)
        ORDER BY l.queue, q.due_at, q.id
    """


def pages(queue: str, *, size: int) -> Iterator[list[Queued]]:
    """Yield the rows that are queued now, oldest first; what comes due meanwhile is left out."""
    until = _latest(queue)
    rows = JobStatus.objects.filter(status=Status.QUEUED, queue=queue, due_at__lte=until)
    rows = rows.order_by("due_at", "id")
    page = _page(rows.values_list("id", "claim", "due_at")[:size])
    while page:
        yield page
        last = page[-1]
        # Spelt out as a row comparison: the index gives the next page without reading the former.
        after = rows.extra(where=["(due_at, id) > (%s, %s)"], params=[last.due_at, last.job_id])
        page = _page(after.values_list("id", "claim", "due_at")[:size])


def _latest(queue: str) -> datetime:
    """Return until when queued rows are due: now, or later if the clock has been set back since."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT greatest({clock.WALL}, (
                SELECT due_at FROM job_statuses WHERE status = 'queued' AND queue = %s
                ORDER BY due_at DESC, id DESC LIMIT 1))
            """,
            [queue],
        )
        row = cursor.fetchone()
    latest: datetime = row[0]
    return latest


def _page(rows: Iterable[tuple[UUID, int, datetime]]) -> list[Queued]:
    return [Queued(*row) for row in rows]


def still(rows: Sequence[Queued]) -> list[JobStatus]:
    """Return those of `rows` that are queued with the same claim, in their order, with PUSHED."""
    claim_by_id = {row.job_id: row.claim for row in rows}
    jobs = JobStatus.objects.filter(id__in=list(claim_by_id), status=Status.QUEUED).only(*PUSHED)
    return [job for job in jobs.order_by("due_at", "id") if job.claim == claim_by_id[job.id]]
