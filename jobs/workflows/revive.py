"""A parent lives again: what was cancelled because of it waits for it once more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs.broker.seldom import Seldom
from jobs.dispatch import advance
from jobs.models import clock

logger = logging.getLogger("jobs.workflows")
_late = Seldom(logger, "PostgreSQL doesn't look at revived jobs at once: %s")


def branch_of(parent_ids: Sequence[UUID]) -> list[UUID]:
    """Revive what was cancelled because of these jobs, and because of that, all the way down.

    cancelled -> waiting. Call inside the transaction that gives the parents another attempt, when
    it has moved them: whoever cancels a dependent holds its parent's row. What a person has
    cancelled stays so, and so does what has been given another attempt of its own.

    Returns:
        The ids of the revived jobs. After the commit those that have another failed parent are
        cancelled again, because of that one.
    """
    revived: list[UUID] = []
    living = list(parent_ids)
    while living:
        # Again below what lives now: while one of these was being revived its dependents may have
        # been cancelled, by somebody who held its row and whom the statement didn't see.
        living = _revive(living)
        revived += living
    if revived:
        logger.info("Revived %d job(s) that were cancelled because of these", len(revived))
        transaction.on_commit(partial(_check, revived), robust=True)
    return revived


def _revive(parent_ids: Sequence[UUID]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_statement(clock.NOW), [[str(job_id) for job_id in parent_ids]])
        return [job_id for (job_id,) in cursor.fetchall()]


def _check(job_ids: Sequence[UUID]) -> None:
    try:
        advance.check(job_ids)
    except (DatabaseError, InterfaceError) as error:
        _late.warn(error)  # the duty does


def _statement(now: str) -> str:
    # By `job_dependencies_parent_id` and primary keys. The claim tells whether the job has lived
    # since this parent cancelled it.
    return f"""
        WITH RECURSIVE broken AS (
            SELECT d.job_id, d.parent_id FROM job_dependencies d
            JOIN job_statuses j ON j.id = d.job_id
            WHERE d.parent_id = ANY(%s::uuid[])
                AND j.status = 'cancelled' AND j.claim = d.broken_claim
            UNION
            SELECT d.job_id, d.parent_id FROM broken b
            JOIN job_dependencies d ON d.parent_id = b.job_id
            JOIN job_statuses j ON j.id = d.job_id
            WHERE j.status = 'cancelled' AND j.claim = d.broken_claim),
        locked AS MATERIALIZED (
            SELECT j.id FROM job_statuses j
            WHERE j.id = ANY(ARRAY(SELECT job_id FROM broken)) AND j.status = 'cancelled'
            ORDER BY j.id FOR NO KEY UPDATE),
        mended AS (
            UPDATE job_dependencies d SET broken_claim = NULL
            FROM broken b JOIN locked l ON l.id = b.job_id
            WHERE d.job_id = b.job_id AND d.parent_id = b.parent_id)
        UPDATE job_statuses j SET
            status = 'waiting', held_by = 'dependency', finished_at = NULL, error = '',
            updated_at = {now}
        FROM locked l WHERE j.id = l.id RETURNING j.id
    """
