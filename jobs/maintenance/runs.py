"""The runs of schedules: they outlive their jobs, keep how those ended, and go later themselves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import connection

from jobs import conf
from jobs.models import clock
from jobs.statuses import TERMINAL, WORST_FIRST

logger = logging.getLogger("jobs.maintenance")

BATCH = 1_000
_FOR_EVER = timedelta(days=36_500)  # timedelta.max is more than PostgreSQL can take off a moment

_ENDS = ", ".join(f"'{status.value}'" for status in reversed(WORST_FIRST) if status in TERMINAL)
_WORSE_AND_WORSE = f"ARRAY[{_ENDS}]"

# Part of the statement that deletes jobs, `old` (id, status, schedule, logical_time), all of one
# status: their runs let go of them and keep how they ended, of several the worst. By the indexes of
# job_schedule_runs on job_id, and on schedule_name and logical_time.
LET_GO = f"""
    runs AS (
        UPDATE job_schedule_runs r SET
            job_id = CASE WHEN r.job_id = ANY(ARRAY(SELECT id FROM old)) THEN NULL
                ELSE r.job_id END,
            kept_status = ({_WORSE_AND_WORSE})[greatest(
                array_position({_WORSE_AND_WORSE}, r.kept_status::text),
                array_position({_WORSE_AND_WORSE}, (SELECT status::text FROM old LIMIT 1)))]
        WHERE r.id = ANY(ARRAY(
            SELECT id FROM job_schedule_runs WHERE job_id = ANY(ARRAY(SELECT id FROM old))
            UNION
            SELECT its.id FROM old o, LATERAL (
                SELECT id FROM job_schedule_runs
                WHERE schedule_name = o.schedule AND logical_time = o.logical_time LIMIT 1
            ) AS its WHERE o.schedule <> '')))
"""


def prune(rest: Callable[[float], bool], *, batch: int = BATCH) -> int:
    """Delete runs past JOBS["RETENTION_RUNS"] whose job is gone. Returns how many.

    Opens its own transactions, one for each batch. What somebody else holds is left to the next
    pass.

    Args:
        rest: Called after each batch with the seconds to pause; after a no the next pass goes on.
        batch: How many runs one statement deletes at most.
    """
    kept, count = conf.current().retention_runs, 0
    while kept < _FOR_EVER:
        begun = time.monotonic()
        deleted = _delete(kept, batch)
        count += deleted
        if deleted < batch or not rest(time.monotonic() - begun):
            break
    if count:
        logger.info("Pruned %d runs of schedules", count)
    return count


def _delete(kept: timedelta, batch: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_deletion(clock.NOW), [kept.total_seconds(), batch, batch])
        deleted: int = cursor.rowcount
    return deleted


def _deletion(now: str) -> str:
    # By job_schedule_runs_once: a descent for each schedule that there is, then its oldest runs.
    return f"""
        WITH RECURSIVE names AS (
            (SELECT schedule_name AS name FROM job_schedule_runs ORDER BY schedule_name LIMIT 1)
            UNION ALL
            SELECT n.name FROM names, LATERAL (
                SELECT schedule_name AS name FROM job_schedule_runs
                WHERE schedule_name > names.name ORDER BY schedule_name LIMIT 1) AS n),
        old AS MATERIALIZED (
            SELECT its.id FROM names, LATERAL (
                SELECT id FROM job_schedule_runs
                WHERE schedule_name = names.name AND job_id IS NULL
                    AND logical_time < {now} - make_interval(secs => %s)
                ORDER BY logical_time LIMIT %s) AS its
            LIMIT %s)
        DELETE FROM job_schedule_runs WHERE id = ANY(ARRAY(
            SELECT id FROM job_schedule_runs WHERE id = ANY(ARRAY(SELECT id FROM old))
            ORDER BY id FOR UPDATE SKIP LOCKED))
    """
