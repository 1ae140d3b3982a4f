"""Jobs that wait for others go on: released when all have ended, cancelled when one failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs.broker.seldom import Seldom
from jobs.dispatch import outbox
from jobs.models import JobStatus, clock, locking
from jobs.statuses import Status

logger = logging.getLogger("jobs.dispatch")
_late = Seldom(logger, "PostgreSQL doesn't release dependent jobs at once: %s")

MOVED_AT_ONCE = 200  # by one statement, which looks at no more
# So long one call goes on, down a branch or along a fan: a runner has its next jobs in hand. What
# is left is the duty's.
LONGEST_SECONDS = 0.25
LOGGED_ONE_BY_ONE = 10  # of one statement


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
    moved = [job for chunk in _chunks(job_ids) for job in _move(chunk)]
    _levels(_ended(moved))
    return [job.id for job in moved]


def _levels(parent_ids: Sequence[UUID]) -> None:
    begun = time.monotonic()
    while parent_ids:
        ended: list[UUID] = []
        for chunk in _chunks(_dependents(parent_ids)):
            ended += _ended(_move(chunk))
            if time.monotonic() - begun > LONGEST_SECONDS:
                return
        parent_ids = ended


def _ended(moved: Iterable[JobStatus]) -> list[UUID]:
    return [job.id for job in moved if job.status == Status.CANCELLED and job.has_dependents]


def _chunks(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    return [ids[begin : begin + MOVED_AT_ONCE] for begin in range(0, len(ids), MOVED_AT_ONCE)]


def _dependents(parent_ids: Sequence[UUID]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT d.job_id FROM job_dependencies d WHERE d.parent_id = ANY(%s::uuid[]) "
            "ORDER BY d.job_id",
            [[str(parent_id) for parent_id in parent_ids]],
        )
        return [job_id for (job_id,) in cursor.fetchall()]


def _move(job_ids: Sequence[UUID]) -> list[JobStatus]:
    given = {"ids": [str(job_id) for job_id in job_ids]}
    jobs = locking.repeat_on_conflict(
        lambda: list(JobStatus.objects.raw(_statement(clock.NOW, clock.WALL), given))
    )
    jobs.sort(key=lambda job: (job.due_at, job.id))
    outbox.push_on_commit(outbox.entries_of(jobs))
    _log([job for job in jobs if job.status == Status.CANCELLED])
    return jobs


def _log(cancelled: Sequence[JobStatus]) -> None:
    for job in cancelled[:LOGGED_ONE_BY_ONE]:
        logger.info("Job %s: %s", job.id, job.error, extra={"job_id": str(job.id)})
    if len(cancelled) > LOGGED_ONE_BY_ONE:
        more = len(cancelled) - LOGGED_ONE_BY_ONE
        logger.info("%d more jobs: cancelled, for a job that they depend on", more)


def _statement(now: str, wall: str) -> str:
    # What waits for a parent yet is not even locked: of two parents that end at one moment the
    # later one's look, whose snapshot holds both ends, must not find the row held by the other's.
    # Whose parent failed is cancelled only under that parent's lock: a person may be retrying it.
    # By primary keys, and by `job_dependencies_parent_id`: no status stands where rows are looked
    # up, lest all that wait or have failed be read from the index of statuses.
    return f"""
        WITH decided AS MATERIALIZED (
            SELECT j.id, f.culprit_id, f.culprit_step, f.culprit_is_gone
            FROM unnest(%(ids)s::uuid[]) AS c(id),
                LATERAL (
                    SELECT id, status, held_by FROM job_statuses WHERE id = c.id OFFSET 0) AS j,
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
                AND (f.is_free IS NOT FALSE OR f.culprit_id IS NOT NULL)),
        culprit AS MATERIALIZED (
            SELECT * FROM (
                SELECT p.id, p.job_class, p.status FROM job_statuses p
                WHERE p.id = ANY(ARRAY(SELECT culprit_id FROM decided))
                ORDER BY p.id FOR SHARE SKIP LOCKED) AS held
            WHERE status IN ('failed', 'cancelled')),
        locked AS MATERIALIZED (
            SELECT id FROM (
                SELECT j.id, j.status, j.held_by FROM job_statuses j
                WHERE j.id = ANY(ARRAY(SELECT id FROM decided))
                ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED) AS held
            WHERE status = 'waiting' AND held_by = 'dependency'),
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
