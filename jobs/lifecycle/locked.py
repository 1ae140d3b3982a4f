"""The rows that a statement of the lifecycle moves: locked in id order, before anything is said."""

from __future__ import annotations


def rows(ids: str, *, wait: bool) -> str:
    """Return the part of a statement that locks the jobs of `ids`, an SQL array of uuid.

    One part for all that the statement moves: two that lock one after the other could each hold
    what the other one's next waits for. By primary key.

    Args:
        ids: As SQL.
        wait: Whether for a row that somebody holds; else it is left out.
    """
    return f"""
        locked AS MATERIALIZED (
            SELECT j.id, j.status, j.claim, j.attempt, j.max_attempts, j.job_class, j.queue,
                j.worker_id, j.started_at, j.cancel_requested_at, j.cancel_requested_by,
                j.cancel_reason, j.has_dependents
            FROM job_statuses j WHERE j.id = ANY({ids})
            ORDER BY j.id FOR NO KEY UPDATE{"" if wait else " SKIP LOCKED"})"""


def moment(wall: str) -> str:
    """Return the part of a statement that is its moment: the wall's, when all rows are locked.

    The wall's: an atomic job's transaction is as old as its attempt, and now() would end it at its
    start. Read once: it moves within a statement.

    Args:
        wall: clock.WALL, as it is when the statement is made.
    """
    return f"""
        moment AS MATERIALIZED (
            SELECT {wall} AS at FROM (SELECT count(*) FROM locked) AS all_of_them)"""
