"""Jobs that wait for others go on: released when all have ended, cancelled when one failed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction

from jobs.broker.seldom import Seldom
from jobs.dispatch import outbox
from jobs.models import JobStatus, clock, locking
from jobs.statuses import Status

logger = logging.getLogger("jobs.dispatch")
_late = Seldom(logger, "PostgreSQL doesn't release dependent jobs at once: %s")

MOVED_AT_ONCE = 1_000  # by one statement
# How far down a branch that is cancelled one call follows it; what is below is the duty's.
MAX_LEVELS = 100


def follow(parent_ids: Sequence[UUID]) -> None:
    """Once the caller's transaction has committed, look at the dependents of jobs that ended in it.

    waiting -> queued, scheduled, cancelled; each step in a transaction of its own. Never raises for
    PostgreSQL or Redis: the end of the parents stands, and the duty does what is left.
    """
    if parent_ids:
        transaction.on_commit(partial(_follow, parent_ids), robust=True)


def _follow(parent_ids: Sequence[UUID]) -> None:
    try:
        _levels(parent_ids)
    except (DatabaseError, InterfaceError) as error:
        _late.warn(error)


def check(job_ids: Sequence[UUID]) -> list[UUID]:
    """Move those of `job_ids` that wait for nothing any more, and what is cancelled after them.

    waiting -> queued, scheduled, cancelled. Opens its own transactions, call it outside of one.
    Those whose rows somebody holds are left to the duty.

    Returns:
        Those of `job_ids` that moved.
    """
    moved = _move(_NAMED, job_ids)
    _levels([job.id for job in moved if job.status == Status.CANCELLED and job.has_dependents])
    return [job.id for job in moved]


def _levels(parent_ids: Sequence[UUID]) -> None:
    for _ in range(MAX_LEVELS):
        if not parent_ids:
            return
        moved = _move(_DEPENDENTS, parent_ids)
        ended = [job.id for job in moved if job.status == Status.CANCELLED and job.has_dependents]
        # Of a very wide fan there are more.
        parent_ids = [*ended, *(parent_ids if len(moved) == MOVED_AT_ONCE else ())]


def _move(candidates: str, ids: Sequence[UUID]) -> list[JobStatus]:
    if not ids:
        return []
    given = {"ids": [str(job_id) for job_id in ids], "limit": MOVED_AT_ONCE}
    jobs = locking.repeat_on_conflict(
        lambda: list(JobStatus.objects.raw(_statement(candidates, clock.NOW, clock.WALL), given))
    )
    jobs.sort(key=lambda job: (job.due_at, job.id))
    for job in jobs:
        said = job.error if job.status == Status.CANCELLED else "released, nothing holds it"
        logger.info("Job %s: %s", job.id, said, extra={"job_id": str(job.id)})
    outbox.push_on_commit(outbox.entries_of(jobs))
    return jobs


_NAMED = "SELECT unnest(%(ids)s::uuid[]) AS id"
_DEPENDENTS = """
            SELECT DISTINCT d.job_id AS id FROM job_dependencies d
            WHERE d.parent_id = ANY(%(ids)s::uuid[])"""


def _statement(candidates: str, now: str, wall: str) -> str:
    # What waits for a parent yet is not even locked: of two parents that end at one moment the
    # later one's look, whose snapshot holds both ends, must not find the row held by the other's.
    # Whose parent failed is cancelled only under that parent's lock: a person may be retrying it.
    # By primary keys, and by `job_dependencies_parent_id`.
    return f"""
        WITH candidate AS MATERIALIZED ({candidates}),
        decided AS MATERIALIZED (
            SELECT j.id, f.culprit_id, f.culprit_step, f.culprit_is_gone
            FROM candidate c JOIN job_statuses j ON j.id = c.id,
                LATERAL (
                    SELECT bool_and(p.id IS NULL OR {_IS_TERMINAL}) AS is_free,
                        (array_agg(d.parent_id ORDER BY d.number) FILTER (WHERE {_HAS_BROKEN}))[1]
                            AS culprit_id,
                        (array_agg(d.parent_step ORDER BY d.number) FILTER (WHERE {_HAS_BROKEN}))[1]
                            AS culprit_step,
                        (array_agg(p.id IS NULL ORDER BY d.number) FILTER (WHERE {_HAS_BROKEN}))[1]
                            AS culprit_is_gone
                    FROM job_dependencies d LEFT JOIN job_statuses p ON p.id = d.parent_id
                    WHERE d.job_id = j.id) AS f
            WHERE j.status = 'waiting' AND j.held_by = 'dependency'
                AND (f.is_free IS NOT FALSE OR f.culprit_id IS NOT NULL)
            ORDER BY j.id LIMIT %(limit)s),
        culprit AS MATERIALIZED (
            SELECT p.id, p.job_class, p.status FROM job_statuses p
            WHERE p.id = ANY(ARRAY(SELECT culprit_id FROM decided))
                AND p.status IN ('failed', 'cancelled')
            ORDER BY p.id FOR SHARE SKIP LOCKED),
        locked AS MATERIALIZED (
            SELECT j.id FROM job_statuses j
            WHERE j.id = ANY(ARRAY(SELECT id FROM decided))
                AND j.status = 'waiting' AND j.held_by = 'dependency'
            ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED),
        fate AS MATERIALIZED (
            SELECT d.id, d.culprit_id, concat(
                'cancelled: ', coalesce(c.job_class, 'job'), ' ', d.culprit_id,
                CASE WHEN d.culprit_step <> '' THEN concat(' (step ', d.culprit_step, ')') END,
                CASE coalesce(c.status, 'gone')
                    WHEN 'failed' THEN ' failed' WHEN 'cancelled' THEN ' was cancelled'
                    ELSE ' is gone' END) AS why
            FROM decided d JOIN locked USING (id) LEFT JOIN culprit c ON c.id = d.culprit_id
            WHERE d.culprit_id IS NULL OR c.id IS NOT NULL OR d.culprit_is_gone),
        broken AS (
            UPDATE job_dependencies d SET broken_claim = j.claim
            FROM fate f JOIN job_statuses j USING (id)
            WHERE d.job_id = f.id AND d.parent_id = f.culprit_id)
        UPDATE job_statuses j SET
            status = CASE WHEN f.culprit_id IS NOT NULL THEN 'cancelled'
                WHEN j.due_at > {now} THEN 'scheduled' ELSE 'queued' END,
            held_by = '',
            claim = j.claim + CASE WHEN f.culprit_id IS NULL AND j.due_at <= {now}
                THEN 1 ELSE 0 END,
            due_at = CASE WHEN f.culprit_id IS NULL THEN greatest(j.due_at, {now})
                ELSE j.due_at END,
            finished_at = CASE WHEN f.culprit_id IS NOT NULL THEN {wall} END,
            error = CASE WHEN f.culprit_id IS NOT NULL THEN f.why ELSE '' END,
            updated_at = {now}
        FROM fate f WHERE j.id = f.id
        RETURNING {", ".join(f"j.{column}" for column in _RETURNED)}
    """


_RETURNED = (*outbox.PUSHED, "status", "has_dependents", "due_at", "error")
_IS_TERMINAL = "p.status IN ('completed', 'failed', 'cancelled')"
_HAS_BROKEN = """d.on_parent_failure = 'cancel'
                            AND (p.id IS NULL OR p.status IN ('failed', 'cancelled'))"""
