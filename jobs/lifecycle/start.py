"""The begin of attempts: queued -> started, one compare-and-set for all that a worker claimed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from jobs import registry
from jobs.broker.seldom import Seldom
from jobs.lifecycle import locked
from jobs.models import JobStatus, clock, locking, prepared, refusals
from jobs.statuses import Status, sources

logger = logging.getLogger("jobs.lifecycle")
_refused = Seldom(logger, "PostgreSQL refuses a start, the job stays queued: %s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What became of claimed ids; each list in the order in which they were claimed."""

    jobs: list[JobStatus] = field(default_factory=list)  # started; new attempt and claim
    later: list[UUID] = field(default_factory=list)  # to be put back
    strangers: list[UUID] = field(default_factory=list)  # at the head, without a row
    dropped: list[UUID] = field(default_factory=list)  # their row isn't queued, held or refused
    is_refused: bool = False  # the worker was declared dead, and starts nothing


# What is read of a job that starts: all that is asked of it until its end. The rest is loaded when
# somebody asks.
RETURNED = (
    "job_class", "queue", "params", "status", "attempt", "max_attempts", "claim", "losses",
    "interruptions", "created_at", "started_at", "logical_time",
)  # fmt: skip
JOB_COLUMNS = (*RETURNED, "id", "worker_id")

# What a start writes beside the status.
SET_STARTED = """
                attempt = j.attempt + 1, claim = j.claim + 1,
                worker_id = %(worker_id)s::uuid, started_at = {at}, updated_at = {now},
                finished_at = NULL, progress = NULL, error = ''"""


def start(job_ids: Sequence[UUID], *, worker_id: UUID, room: int = 0) -> Beginning:
    """Start the batchable prefix of `job_ids`: queued -> started.

    One statement; run it in autocommit, where a deadlock or a serialization failure is repeated. A
    worker that was declared dead starts nothing.

    The prefix ends before a job that goes alone: an atomic one, and one whose next attempt is its
    last, since what a dead runner had done but not settled is recorded as lost. Async ones begin at
    once, so of them as many as there is room for. Where a job that goes alone stands first it is
    all that starts. An id without a row is a plain rq job, or its row was deleted; it ends the
    prefix as well, and first in line it is a stranger. What isn't queued is passed over: duplicates
    and ids of cancelled or running jobs. So is a row that somebody holds: it stays queued.

    Where PostgreSQL refuses a row, it is looked for: the prefix ends somewhere before it, and one
    that stands first is passed over, and stays queued.

    Args:
        job_ids: Claimed ids, in order.
        worker_id: The JobWorker row of this start of the worker.
        room: How many async jobs may begin.
    """
    ids = list(dict.fromkeys(job_ids))
    if not ids:
        return Beginning()
    given = values(ids, worker_id=worker_id, room=room)
    try:
        return locking.repeat_on_conflict(lambda: _execute(ids, given))
    except DatabaseError as error:
        if connection.in_atomic_block or not refusals.is_of_a_row(error):
            raise
        if len(ids) == 1:
            _refused.warn(DatabaseError(f"job {ids[0]}: {refusals.words(error)}"))
            return Beginning(dropped=ids)
    half = len(ids) // 2
    begun = start(ids[:half], worker_id=worker_id, room=room)
    begun.later.extend(ids[half:])
    return begun


def _execute(ids: Sequence[UUID], given: dict[str, Any]) -> Beginning:
    with connection.cursor() as cursor:
        prepared.execute(cursor, _statement(clock.NOW, clock.WALL), TYPES, given)
        return beginning(cursor.fetchall(), ids, given["worker_id"])


@cache
def _statement(now: str, wall: str) -> str:
    return f"""
        WITH {locked.rows(IDS, wait=False)}, {locked.moment(wall)}, {begun(now)}
        SELECT {COLUMNS} FROM {FATES} ORDER BY f.number
    """


TYPES = {
    "ids": "uuid[]",
    "sources": "text[]",
    "worker_id": "uuid",
    "room": "int",
    "async_classes": "text[]",
    "atomic_classes": "text[]",
}


def values(ids: Sequence[UUID], *, worker_id: UUID, room: int) -> dict[str, Any]:
    """Return what the statement is given."""
    return {
        "ids": f"{{{','.join(map(str, ids))}}}",
        "sources": sorted(sources(Status.STARTED)),
        "worker_id": worker_id,
        "room": room,
        "async_classes": registry.async_names(),
        "atomic_classes": registry.atomic_names(),
    }


def beginning(rows: Sequence[Sequence[Any]], asked: Sequence[UUID], worker_id: UUID) -> Beginning:
    """Return what `COLUMNS` say of the ids that `worker_id` asked to start."""
    ids: dict[str, list[UUID]] = {"later": [], "stranger": [], "dropped": []}
    jobs = []
    for number, fate, _, *columns in rows:
        job_id = asked[number - 1]  # to make it of what the server says costs more than all of this
        if fate == "started":
            jobs.append(JobStatus.of_columns(JOB_COLUMNS, [*columns, job_id, worker_id]))
        else:
            ids[fate].append(job_id)
    return Beginning(
        jobs=jobs,
        later=ids["later"],
        strangers=ids["stranger"],
        dropped=ids["dropped"],
        is_refused=bool(rows) and rows[0][2],
    )


IDS = "%(ids)s::uuid[]"

COLUMNS = ", ".join(["f.number", "f.fate", "f.is_refused", *(f"b.{name}" for name in RETURNED)])
WIDTH = 3 + len(RETURNED)

FATES = "fates f LEFT JOIN begun b ON b.id = f.id"


def begun(now: str) -> str:
    """Return the part of the statement that decides what starts, and starts it.

    Args:
        now: clock.NOW, as it is when the statement is made.
    """
    returned = ", ".join(f"j.{name}" for name in ("id", *RETURNED))
    return f"""
        worker AS MATERIALIZED (
            SELECT NOT EXISTS (
                SELECT 1 FROM job_workers WHERE id = %(worker_id)s AND dead_at IS NULL
            ) AS is_refused),
        line AS (
            SELECT a.id, a.number, l.id IS NULL AS is_stranger,
                -- The first of these is asked for those alone that no row could be locked of.
                CASE WHEN l.id IS NULL THEN
                    (SELECT true FROM job_statuses s WHERE s.id = a.id) IS TRUE
                ELSE l.status <> ALL(%(sources)s) END AS is_dropped,
                l.job_class = ANY(%(async_classes)s::text[]) IS TRUE AS is_async,
                l.job_class = ANY(%(atomic_classes)s::text[])
                    OR l.attempt + 1 >= l.max_attempts
                    OR l.id IS NULL AS is_single
            FROM unnest({IDS}) WITH ORDINALITY AS a(id, number) LEFT JOIN locked l ON l.id = a.id),
        steps AS (
            SELECT id, number, is_stranger, is_dropped,
                row_number() OVER w > 1 AND (is_alone OR first_value(is_alone) OVER w)
                    OR is_async AND count(*) FILTER (WHERE is_async) OVER w > %(room)s AS is_beyond
            FROM line, LATERAL (SELECT is_single AND NOT is_async) AS s(is_alone)
            WINDOW w AS (PARTITION BY is_dropped ORDER BY number)),
        fates AS MATERIALIZED (
            SELECT s.id, s.number, w.is_refused, CASE
                WHEN s.is_dropped THEN 'dropped'
                WHEN w.is_refused OR bool_or(s.is_beyond) OVER (
                    PARTITION BY s.is_dropped ORDER BY s.number) THEN 'later'
                WHEN s.is_stranger THEN 'stranger' ELSE 'started' END AS fate
            FROM steps s, worker w),
        begun AS (
            UPDATE job_statuses j SET
                status = 'started', {SET_STARTED.format(at="m.at", now=now)}
            FROM fates f, moment m WHERE j.id = f.id AND f.fate = 'started'
            RETURNING {returned})"""
