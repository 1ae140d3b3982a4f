"""One that ends and one that begins: a statement without what only many need."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection

from jobs import registry
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.lifecycle.settle import Settled
from jobs.lifecycle.start import JOB_COLUMNS, RETURNED, SET_STARTED
from jobs.models import JobStatus, clock, prepared
from jobs.statuses import Status


def is_for(settlements: Sequence[Settlement], job_ids: Sequence[UUID]) -> bool:
    """Whether `turn` does it: at most one of each, in autocommit, and an end as most are."""
    return (
        len(settlements) <= 1
        and len(job_ids) <= 1
        and all(_has_plainly_completed(settlement) for settlement in settlements)
        and not connection.in_atomic_block
    )


def _has_plainly_completed(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    return isinstance(outcome, Completed) and bool(outcome.text)


def turn(
    settlements: Sequence[Settlement], job_ids: Sequence[UUID], *, worker_id: UUID, room: int
) -> tuple[list[Settled], list[JobStatus]]:
    """Settle and start what `is_for` says this is for, in one commit; wait for no row.

    Run it in autocommit. Either may move alone; why the other hasn't, the statements for many say.
    """
    given = {**_NOTHING, "worker_id": str(worker_id), "is_open": room > 0}
    given["async_classes"] = registry.async_names()
    for settlement in settlements:
        given |= _end(settlement)
    if job_ids:
        given["next_id"] = str(job_ids[0])
    with connection.cursor() as cursor:
        prepared.execute(cursor, _statement(clock.NOW, clock.WALL), _TYPES, given)
        row = cursor.fetchone()
    if row is None:
        return [], []
    ended, begun = row[:_WIDTH], row[_WIDTH:]
    return (
        [] if ended[0] is None else [_settled(settlements[0], ended)],
        [] if begun[0] is None else [_begun(job_ids[0], begun, worker_id)],
    )


def _end(settlement: Settlement) -> dict[str, Any]:
    outcome = settlement.outcome
    result = outcome.text if isinstance(outcome, Completed) else "null"
    return {
        "id": str(settlement.job_id),
        "claim": settlement.claim,
        "result": None if result == "null" else result,
        "peak_memory": settlement.peak_memory,
        "began_at": settlement.began_at,
        "ended_at": settlement.ended_at,
        "monotonic": time.monotonic(),
    }


def _settled(settlement: Settlement, columns: Sequence[Any]) -> Settled:
    queue, job_class, attempt, began, ended, has_dependents = columns
    return Settled(
        job_id=settlement.job_id,
        claim=settlement.claim,
        status=Status.COMPLETED,
        queue=queue,
        error="",
        wait=None,
        job_class=job_class,
        attempt=attempt,
        started_at=began,
        ended_at=ended,
        has_dependents=has_dependents,
    )


def _begun(job_id: UUID, columns: Sequence[Any], worker_id: UUID) -> JobStatus:
    return JobStatus.of_columns(JOB_COLUMNS, [*columns, job_id, worker_id])


_TYPES = {
    "id": "uuid",
    "claim": "int",
    "result": "jsonb",
    "peak_memory": "bigint",
    "began_at": "float8",
    "ended_at": "float8",
    "monotonic": "float8",
    "next_id": "uuid",
    "worker_id": "uuid",
    "is_open": "bool",
    "async_classes": "text[]",
}
_NOTHING: dict[str, Any] = dict.fromkeys(_TYPES)
_WIDTH = 6


@cache
def _statement(now: str, wall: str) -> str:
    # As `settle.moved` and `start.begun` for many; who completes minds no cancel. Rows that
    # somebody holds are skipped, so the order of the two locks is nobody's concern.
    returned = ", ".join(f"j.{name}" for name in RETURNED)
    return f"""
        WITH locked AS MATERIALIZED (
            SELECT j.id, {wall} AS at FROM job_statuses j
            WHERE j.id = %(id)s::uuid AND j.claim = %(claim)s::int AND j.status = 'started'
            FOR NO KEY UPDATE SKIP LOCKED),
        ended AS (
            UPDATE job_statuses j SET
                status = 'completed',
                started_at = coalesce(
                    l.at - make_interval(secs => %(monotonic)s::float8 - %(began_at)s::float8),
                    j.started_at),
                finished_at = coalesce(
                    l.at - make_interval(secs => %(monotonic)s::float8 - %(ended_at)s::float8),
                    l.at),
                result = %(result)s::jsonb, error = '', updated_at = l.at
            FROM locked l WHERE j.id = l.id
            RETURNING j.id, j.claim, j.queue, j.job_class, j.attempt, j.worker_id, j.started_at,
                j.finished_at, j.result, j.has_dependents),
        kept AS (
            INSERT INTO job_attempts (
                job_id, number, claim, worker_id, worker_name, started_at, ended_at, outcome,
                status, due_at, error_class, message, traceback, peak_memory, result)
            SELECT e.id, e.attempt, e.claim, e.worker_id,
                coalesce((SELECT w.name FROM job_workers w WHERE w.id = e.worker_id), ''),
                e.started_at, e.finished_at, 'completed', 'completed', NULL, '', '', '',
                %(peak_memory)s::bigint, e.result
            FROM ended e),
        free AS MATERIALIZED (
            SELECT j.id FROM job_statuses j
            WHERE j.id = %(next_id)s::uuid AND j.status = 'queued'
                AND (%(is_open)s::bool OR j.job_class <> ALL(%(async_classes)s::text[]))
                AND EXISTS (
                    SELECT 1 FROM job_workers
                    WHERE id = %(worker_id)s::uuid AND dead_at IS NULL)
            FOR NO KEY UPDATE SKIP LOCKED),
        begun AS (
            UPDATE job_statuses j SET
                status = 'started', {SET_STARTED.format(at=wall, now=now)}
            FROM free f WHERE j.id = f.id RETURNING {returned})
        SELECT e.queue, e.job_class, e.attempt, e.started_at, e.finished_at, e.has_dependents, j.*
        FROM ended e FULL JOIN begun j ON true
    """
