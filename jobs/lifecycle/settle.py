"""The end of attempts: record the outcomes, move the rows, keep the attempts: one statement."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never
from uuid import UUID

from django.db import DataError, connection

from jobs import conf, json_values
from jobs.lifecycle.outcomes import (
    Cancelled,
    Completed,
    Failed,
    GivenBack,
    Outcome,
    Settlement,
    Snoozed,
)
from jobs.models import clock, locking
from jobs.statuses import Status

logger = logging.getLogger("jobs.lifecycle")

MAX_LINE = 1_000  # characters of an error's first line on the row; the attempt has all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A job whose attempt has been recorded, and what became of it."""

    job_id: UUID
    claim: int  # of the attempt
    status: Status
    queue: str
    error: str
    wait: timedelta | None  # until the next attempt may start


def settle(settlements: Sequence[Settlement]) -> list[Settled]:
    """Record the ends of attempts: started -> every status that an attempt can lead to.

    One statement, in the caller's transaction or in autocommit: moves each row that still bears the
    claim, writes its JobAttempt. A job whose cancel was asked for becomes cancelled, unless it
    completed.

    In autocommit a deadlock or a serialization failure is repeated. If PostgreSQL refuses the data,
    the halves are settled on their own, and so on: only the culprit's attempt fails, as
    InvalidResult. One culprit among 64 costs 14 statements.

    Returns:
        What moved. A settlement that is missing came too late: its job has moved on.

    Raises:
        DataError, ValueError, TypeError, RecursionError: The data can't be stored, in a transaction
            of the caller's: what an atomic job wrote must go with its outcome.
    """
    return _halved([_encoded(settlement) for settlement in settlements])


def _halved(rows: Sequence[_Row]) -> list[Settled]:
    if not rows:
        return []
    try:
        return locking.repeat_on_conflict(lambda: _execute(rows))
    except DataError as error:
        if connection.in_atomic_block:
            raise
        if len(rows) > 1:
            half = len(rows) // 2
            return _halved(rows[:half]) + _halved(rows[half:])
        logger.warning("Job %s: its outcome can't be stored: %s", rows[0].job_id, error)
        return _execute([_encoded(_unstorable(rows[0].settlement, error))])


def _execute(rows: Sequence[_Row]) -> list[Settled]:
    ids = [row.job_id for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(_statement(), [f"[{','.join(row.text for row in rows)}]", ids, ids])
        return [
            Settled(
                job_id=job_id,
                claim=claim,
                status=Status(status),
                queue=queue,
                error=error,
                wait=None if wait_seconds is None else timedelta(seconds=wait_seconds),
            )
            for job_id, claim, status, queue, error, wait_seconds in cursor.fetchall()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    settlement: Settlement
    text: str  # JSON

    @property
    def job_id(self) -> UUID:
        return self.settlement.job_id


def _encoded(settlement: Settlement) -> _Row:
    try:
        text = json_values.dump(_columns_of(settlement))
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        if connection.in_atomic_block:
            raise
        # No JSON at all: the statement could not even be sent, nor those of its batch.
        logger.warning("Job %s: its outcome is no JSON: %s", settlement.job_id, error)
        text = json_values.dump(_columns_of(_unstorable(settlement, error)))
    return _Row(settlement=settlement, text=text)


def _unstorable(settlement: Settlement, error: Exception) -> Settlement:
    return Settlement(
        job_id=settlement.job_id,
        claim=settlement.claim,
        outcome=Failed(
            error_class="InvalidResult",
            message=f"PostgreSQL can't hold the outcome: {error}",
            traceback="",
            wait=None,
        ),
        peak_memory=settlement.peak_memory,
    )


# What people's code has said; it may hold what PostgreSQL can't, and any length.
_TEXTS = frozenset({"error", "error_class", "message", "traceback"})


def _columns_of(settlement: Settlement) -> dict[str, Any]:
    limit_bytes = conf.current().max_error_bytes
    columns = _columns(settlement.outcome)
    texts = {
        name: json_values.cleaned(columns.get(name, ""), limit_bytes=limit_bytes) for name in _TEXTS
    }
    return {
        "id": str(settlement.job_id),
        "claim": settlement.claim,
        "peak_memory": settlement.peak_memory,
        "spent": 1,
        "loss": 0,
        "interruption": 0,
        **columns,
        **texts,
    }


def _columns(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Completed():
            return {"status": "completed", "outcome": "completed", "result": outcome.result}
        case Failed():
            return {
                "status": "failed" if outcome.wait is None else "retrying",
                "outcome": "failed",
                "wait_seconds": None if outcome.wait is None else outcome.wait.total_seconds(),
                "error": _one_line(outcome),
                "error_class": outcome.error_class[:200],
                "message": outcome.message,
                "traceback": outcome.traceback,
                "loss": int(outcome.is_loss),
            }
        case Snoozed():
            return {
                "status": "scheduled",
                "outcome": "snoozed",
                "wait_seconds": outcome.delay.total_seconds(),
                "spent": 0,
            }
        case Cancelled():
            return {
                "status": "cancelled",
                "outcome": "cancelled",
                "error": _first_line(outcome.reason),
                "message": outcome.reason,
            }
        case GivenBack():
            return {"status": "queued", "outcome": "given_back", "spent": 0, "interruption": 1}
        case _:
            assert_never(outcome)


def _one_line(outcome: Failed) -> str:
    first = _first_line(outcome.message)
    line = f"{outcome.error_class}: {first}" if first else outcome.error_class
    return f"{line} ({_first_line(outcome.reason)})" if outcome.reason else line


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:MAX_LINE]


def _statement() -> str:
    # By primary key, locked in id order. The wall's moment: an atomic job's transaction is as old
    # as its attempt, and now() would end it at its start. Read once: it moves within a statement.
    now = clock.WALL
    return f"""
        WITH o AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%s::jsonb) AS o(
                id uuid, claim int, status text, outcome text, wait_seconds float8, spent int,
                loss int, interruption int, result jsonb, error text, error_class text, message
                text, traceback text, peak_memory bigint)),
        ended AS MATERIALIZED (
            SELECT j.id, j.claim, j.attempt, j.started_at, j.worker_id, {now} AS at,
                o.outcome, o.spent, o.loss, o.interruption, o.result, o.error_class, o.message,
                o.traceback, o.peak_memory,
                CASE WHEN c.wins THEN 'cancelled' ELSE o.status END AS status,
                CASE WHEN c.wins THEN NULL ELSE make_interval(secs => o.wait_seconds) END AS wait,
                CASE WHEN c.wins THEN concat_ws(': ', 'cancelled by ' || j.cancel_requested_by,
                    nullif(j.cancel_reason, '')) ELSE o.error END AS error
            FROM job_statuses j JOIN o ON o.id = j.id AND o.claim = j.claim,
                LATERAL (SELECT
                    o.status <> 'completed' AND j.cancel_requested_at IS NOT NULL) AS c(wins)
            WHERE j.status = 'started' AND j.id = ANY(%s)
            ORDER BY j.id FOR UPDATE OF j),
        moved AS (
            UPDATE job_statuses j SET
                status = e.status,
                attempt = j.attempt - 1 + e.spent,
                claim = j.claim + CASE WHEN e.status = 'queued' THEN 1 ELSE 0 END,
                losses = j.losses + e.loss,
                interruptions = j.interruptions + e.interruption,
                due_at = coalesce(e.at + e.wait, j.due_at),
                finished_at =
                    CASE WHEN e.status IN ('completed', 'failed', 'cancelled') THEN e.at END,
                result = CASE WHEN e.status = 'completed' THEN e.result END,
                error = e.error,
                updated_at = e.at
            FROM ended e WHERE j.id = e.id AND j.id = ANY(%s)
            RETURNING j.id, j.queue),
        kept AS (
            INSERT INTO job_attempts (
                job_id, number, claim, worker_id, worker_name, started_at, ended_at, outcome,
                status, due_at, error_class, message, traceback, peak_memory, result)
            SELECT e.id, e.attempt, e.claim, e.worker_id, coalesce(w.name, ''), e.started_at, e.at,
                e.outcome, e.status, e.at + e.wait, e.error_class, e.message, e.traceback,
                e.peak_memory, e.result
            FROM ended e LEFT JOIN job_workers w ON w.id = e.worker_id)
        SELECT e.id, e.claim, e.status, m.queue, e.error,
            extract(epoch FROM e.wait)::float8
        FROM ended e JOIN moved m ON m.id = e.id
        ORDER BY e.id
    """
