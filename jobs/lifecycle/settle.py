"""The end of attempts: record the outcomes, move the rows, keep the attempts: one statement."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from jobs.dispatch import advance
from jobs.lifecycle import encode, locked
from jobs.lifecycle.encode import Row
from jobs.lifecycle.outcomes import Settlement
from jobs.models import clock, locking, prepared, refusals
from jobs.statuses import TERMINAL, Status
from jobs.values import value

logger = logging.getLogger("jobs.lifecycle")


@value
class Settled:
    """A job whose attempt has been recorded, and what became of it."""

    job_id: UUID
    claim: int  # of the attempt
    status: Status
    queue: str
    error: str
    wait: timedelta | None  # until the next attempt may start
    job_class: str
    attempt: int  # the number of the attempt that ended
    # Of the attempt, by the database's clock, like its end. One that never began has the moment of
    # the attempt before, where there was one.
    started_at: datetime | None
    ended_at: datetime
    has_dependents: bool


def settle(settlements: Sequence[Settlement], *, wait: bool = True) -> list[Settled]:
    """Record the ends of attempts: started -> every status that an attempt can lead to.

    One statement, in the caller's transaction or in autocommit: moves each row that still bears the
    claim, writes its JobAttempt. A job whose cancel was asked for becomes cancelled, unless it
    completed. One of a batch that never began leaves no JobAttempt.

    In autocommit a deadlock or a serialization failure is repeated. If PostgreSQL refuses a row
    (data, a constraint, a trigger), the halves are settled on their own, and so on: only the
    culprit's attempt fails, with PostgreSQL's words. One culprit among 64 costs 14 statements.
    Where even that is refused it stays started, and is left to the rescue.

    What waits for a job that has ended is looked at by statements of their own, after the commit.

    Args:
        settlements: One for each job.
        wait: Whether for rows that somebody holds; else they are left alone.

    Returns:
        What moved. A settlement that is missing came too late: its job has moved on; or its row is
        held, or refused: `unsettled.look` tells.

    Raises:
        DatabaseError, ValueError, TypeError, RecursionError: It can't be stored, in a transaction
            of the caller's: what an atomic job wrote must go with its outcome.
    """
    return followed(halved([encode.encode(settlement) for settlement in settlements], wait=wait))


def followed(settled: list[Settled]) -> list[Settled]:
    """Return `settled`; have what waits for those that have ended looked at after the commit."""
    advance.follow([end.job_id for end in settled if end.has_dependents and end.status in TERMINAL])
    return settled


def halved(rows: Sequence[Row], *, wait: bool) -> list[Settled]:
    """Settle `rows`, and where PostgreSQL refuses one, each half of them on its own."""
    if not rows:
        return []
    try:
        return locking.repeat_on_conflict(lambda: _execute(rows, wait=wait))
    except DatabaseError as error:
        if connection.in_atomic_block or not refusals.is_of_a_row(error):
            raise
        if len(rows) > 1:
            half = len(rows) // 2
            return halved(rows[:half], wait=wait) + halved(rows[half:], wait=wait)
        return _failed(rows[0], error, wait=wait)


def _failed(row: Row, error: DatabaseError, *, wait: bool) -> list[Settled]:
    try:
        return _execute([encode.unstorable(row, error)], wait=wait)
    except DatabaseError as fault:
        if not refusals.is_of_a_row(fault):
            raise
        said = refusals.words(fault)
        logger.error("Job %s: it stays started, no end is accepted: %s", row.job_id, said)  # noqa: TRY400 - its words say all
        return []


def _execute(rows: Sequence[Row], *, wait: bool) -> list[Settled]:
    with connection.cursor() as cursor:
        prepared.execute(cursor, _statement(clock.WALL, wait=wait), TYPES, values(rows))
        return settled(cursor.fetchall(), rows)


@cache
def _statement(wall: str, *, wait: bool) -> str:
    return f"""
        WITH {READ}, {locked.rows(IDS, wait=wait)}, {locked.moment(wall)}, {moved()}
        SELECT {COLUMNS} FROM ended e ORDER BY e.id
    """


TYPES = {"rows": "jsonb", "monotonic": "float8"}


def values(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the statement is given."""
    return {
        "rows": f"[{','.join(row.text for row in rows)}]",
        # Now, and at each repetition: how long ago a job began and ended.
        "monotonic": time.monotonic(),
    }


def settled(found: Sequence[Sequence[Any]], rows: Sequence[Row]) -> list[Settled]:
    """Return what `COLUMNS` say of those of `rows` that moved."""
    ids = {str(row.job_id): row.job_id for row in rows}
    return [_settled(ids[text], columns) for text, *columns in found]


def _settled(job_id: UUID, columns: Sequence[Any]) -> Settled:
    claim, status, queue, error, wait_seconds, job_class, attempt, began, ended, has = columns
    return Settled(
        job_id=job_id,
        claim=claim,
        status=Status(status),
        queue=queue,
        error=error,
        wait=None if wait_seconds is None else timedelta(seconds=wait_seconds),
        job_class=job_class,
        attempt=attempt,
        started_at=began,
        ended_at=ended,
        has_dependents=has,
    )


READ = """
        o AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS o(
                id uuid, claim int, status text, outcome text, wait_seconds float8, loss int,
                result jsonb, error text, error_class text, message text, traceback text,
                peak_memory bigint, began_at float8, ended_at float8))"""

IDS = "ARRAY(SELECT id FROM o)"

COLUMNS = """
        e.id::text, e.claim, e.status, e.queue, e.error, extract(epoch FROM e.wait)::float8 AS wait,
        e.job_class, e.attempt, e.began, e.ended, e.has_dependents"""


def moved() -> str:
    """Return the part of the statement that moves the rows and keeps the attempts."""
    # How long ago a job began and ended is its machine's to tell; when that was, the database's. A
    # job that waited in its batch for its turn did not run meanwhile.
    return """
        ended AS MATERIALIZED (
            SELECT l.id, l.claim, l.attempt, l.job_class, l.queue, l.worker_id, l.has_dependents,
                m.at, o.outcome, o.loss, o.result, o.error_class, o.message, o.traceback,
                o.peak_memory,
                CASE WHEN c.wins THEN 'cancelled' ELSE o.status END AS status,
                CASE WHEN c.wins THEN NULL ELSE make_interval(secs => o.wait_seconds) END AS wait,
                CASE WHEN c.wins THEN concat_ws(': ', 'cancelled by ' || l.cancel_requested_by,
                    nullif(l.cancel_reason, '')) ELSE coalesce(o.error, '') END AS error,
                CASE WHEN o.outcome = 'unbegun' THEN (
                    SELECT a.started_at FROM job_attempts a WHERE a.job_id = l.id
                    ORDER BY a.claim DESC LIMIT 1)
                ELSE coalesce(m.at - make_interval(secs => %(monotonic)s - o.began_at),
                    l.started_at) END AS began,
                coalesce(m.at - make_interval(secs => %(monotonic)s - o.ended_at), m.at) AS ended
            FROM locked l JOIN o ON o.id = l.id AND o.claim = l.claim, moment m,
                LATERAL (SELECT
                    o.status <> 'completed' AND l.cancel_requested_at IS NOT NULL) AS c(wins)
            WHERE l.status = 'started'),
        moved AS (
            UPDATE job_statuses j SET
                status = e.status,
                attempt = j.attempt
                    - CASE WHEN e.outcome IN ('snoozed', 'given_back', 'unbegun') THEN 1 ELSE 0 END,
                claim = j.claim + CASE WHEN e.status = 'queued' THEN 1 ELSE 0 END,
                losses = j.losses + coalesce(e.loss, 0),
                interruptions = j.interruptions
                    + CASE WHEN e.outcome = 'given_back' THEN 1 ELSE 0 END,
                due_at = coalesce(e.ended + e.wait, j.due_at),
                started_at = e.began,
                finished_at =
                    CASE WHEN e.status IN ('completed', 'failed', 'cancelled') THEN e.ended END,
                result = CASE WHEN e.status = 'completed' THEN e.result END,
                error = e.error,
                updated_at = e.at
            FROM ended e WHERE j.id = e.id),
        kept AS (
            INSERT INTO job_attempts (
                job_id, number, claim, worker_id, worker_name, started_at, ended_at, outcome,
                status, due_at, error_class, message, traceback, peak_memory, result)
            SELECT e.id, e.attempt, e.claim, e.worker_id, coalesce(w.name, ''), e.began, e.ended,
                e.outcome, e.status, e.ended + e.wait, coalesce(e.error_class, ''),
                coalesce(e.message, ''), coalesce(e.traceback, ''), e.peak_memory, e.result
            FROM ended e LEFT JOIN job_workers w ON w.id = e.worker_id
            WHERE e.outcome <> 'unbegun')"""
