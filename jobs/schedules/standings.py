"""What became of a schedule's moments: whether each was made, and how its jobs ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection

from jobs.models import ScheduleRun
from jobs.statuses import Status
from jobs.values import value


class Standing(StrEnum):
    """How it stands with a moment; of a workflow with all its jobs."""

    MISSING = "missing"  # no run, or one that made no job
    LIVING = "living"  # a job has yet to end
    FAILED = "failed"  # all have ended, one of them failed or cancelled
    COMPLETED = "completed"  # all have


@value
class Moment:
    """A moment that has a run."""

    run_id: int
    outcome: str
    reason: str
    jobs: int  # that are there yet; those that are pruned left their status on the run
    standing: Standing


# Of a run `r`, by job_statuses_of_runs.
_JOBS = """LATERAL (
                SELECT count(*) AS jobs,
                    count(*) FILTER (WHERE s.finished_at IS NULL) AS living,
                    count(*) FILTER (WHERE s.status IN ('failed', 'cancelled')) AS failed
                FROM job_statuses s
                WHERE s.schedule = r.schedule_name AND s.schedule <> ''
                    AND s.logical_time = r.logical_time) AS j"""


def of(schedule_name: str, moments: Iterable[datetime]) -> Mapping[datetime, Moment]:
    """Return how it stands with those of `moments` that have a run; the others are missing.

    One statement, by job_schedule_runs_once and job_statuses_of_runs.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT r.logical_time, r.id, r.outcome, r.reason, r.kept_status,
                j.jobs, j.living, j.failed
            FROM job_schedule_runs r, {_JOBS}
            WHERE r.schedule_name = %s AND r.logical_time = ANY(%s)
            """,
            [schedule_name, list(moments)],
        )
        return {row[0]: _moment(*row[1:]) for row in cursor.fetchall()}


def living(backfill_id: int, schedule_name: str) -> int:
    """Count the runs of a backfill of which a job has yet to end.

    Read from the living jobs of the schedule, by job_statuses_living_runs: there are few.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(DISTINCT s.logical_time)
            FROM job_statuses s JOIN job_schedule_runs r
                ON r.schedule_name = s.schedule AND r.logical_time = s.logical_time
            WHERE s.schedule = %s AND s.schedule <> '' AND s.finished_at IS NULL
                AND r.backfill_id = %s
            """,
            [schedule_name, backfill_id],
        )
        row = cursor.fetchone()
    count: int = row[0]
    return count


def tally(backfill_id: int) -> Mapping[Standing, int]:
    """Count the runs of a backfill by their standing; missing are those that made no job.

    One statement, that looks at each run: a second for some ten thousands.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT r.outcome, r.kept_status, j.jobs > 0, j.living > 0, j.failed > 0, count(*)
            FROM job_schedule_runs r, {_JOBS}
            WHERE r.backfill_id = %s GROUP BY 1, 2, 3, 4, 5
            """,
            [backfill_id],
        )
        counts = dict.fromkeys(Standing, 0)
        for outcome, kept, jobs, alive, failed, count in cursor.fetchall():
            counts[_standing(outcome, kept, jobs=jobs, alive=alive, failed=failed)] += count
    return counts


def _moment(run_id: int, outcome: str, reason: str, kept: str, *counts: Any) -> Moment:
    jobs, alive, failed = counts
    return Moment(
        run_id=run_id,
        outcome=outcome,
        reason=reason,
        jobs=jobs,
        standing=_standing(outcome, kept, jobs=jobs, alive=alive, failed=failed),
    )


def _standing(outcome: str, kept: str, *, jobs: int, alive: int, failed: int) -> Standing:
    if alive:
        return Standing.LIVING
    # Of a workflow of which some jobs are pruned those that are left decide: only they can be
    # repeated.
    if failed or (not jobs and kept in {Status.FAILED, Status.CANCELLED}):
        return Standing.FAILED
    if jobs or kept or outcome == ScheduleRun.Outcome.DISPATCHED:
        # A run whose job was pruned before runs kept its status counts as done: it isn't done
        # twice because nobody knows.
        return Standing.COMPLETED
    return Standing.MISSING
