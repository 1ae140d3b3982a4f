"""The runs of schedules, each with what became of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import TextField
from django.db.models.expressions import RawSQL

from jobs.models import ScheduleRun
from jobs.statuses import LIVING, WORST_FIRST

STRIP = 30  # runs of one schedule in a list of schedules
_WORST = [status.value for status in WORST_FIRST]
_MAX_RESULT = 2_000  # bytes, as stored, of a result that is looked into for its count of rows


def _number(*keys: str) -> str:
    """Return the sum of the first of these numbers that each job's result tells."""
    told = ", ".join(
        f"CASE WHEN jsonb_typeof(result -> '{key}') = 'number'"
        f" THEN (result ->> '{key}')::numeric END"
        for key in keys
    )
    return f"""sum(CASE WHEN pg_column_size(result) < {_MAX_RESULT}
        AND jsonb_typeof(result) = 'object' THEN coalesce({told}) END)"""


# The jobs of a run; by the index job_statuses_of_runs, which wants `schedule <> ''` in words.
_JOBS = f"""
    (array_agg(status::text ORDER BY array_position(%(worst)s::text[], status::text), id))[1]
        AS status,
    (array_agg(id ORDER BY array_position(%(worst)s::text[], status::text), id))[1] AS job_id,
    min(started_at) AS started_at,
    CASE WHEN count(finished_at) = count(*) THEN max(finished_at) END AS finished_at,
    {_number("rows_out", "rows")} AS rows, {_number("rows_rejected")} AS rows_rejected
"""
_COLUMNS = """
    r.id, r.schedule_name, r.logical_time, r.outcome, {reason}, r.kind, r.made_by, r.kept_status,
    r.created_at, j.status, coalesce(j.job_id, r.job_id), j.started_at, j.finished_at, j.rows,
    j.rows_rejected
"""
_WHOLE = _COLUMNS.format(reason="r.reason")
# A reason may be a traceback of 64 KiB, and a page has thousands of runs.
_BRIEF = _COLUMNS.format(reason="left(r.reason, 1000)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a schedule."""

    id: int
    schedule: str
    logical_time: datetime
    outcome: str
    reason: str
    kind: str
    made_by: str
    created_at: datetime
    # The worst of its jobs' statuses, pruned ones included; where no job was made, the outcome.
    status: str
    job_id: UUID | None  # the job that the status is of; None where none stands any more
    started_at: datetime | None
    finished_at: datetime | None  # None while a job of it lives
    rows: int | None  # as many as the results of its jobs tell of: `rows_out`, else `rows`
    rows_rejected: int | None

    @property
    def has_job(self) -> bool:
        """Whether a job was made for it, pruned or not."""
        return self.outcome == ScheduleRun.Outcome.DISPATCHED

    @property
    def is_living(self) -> bool:
        """Whether a job of it has not ended."""
        return self.status in LIVING

    def length(self, now: datetime) -> timedelta | None:
        """Return how long its jobs ran, or have run until `now`; None where none has begun."""
        if self.started_at is None:
            return None
        return max((self.finished_at or now) - self.started_at, timedelta(0))


def strips(names: Sequence[str], count: int = STRIP) -> dict[str, list[Run]]:
    """Return the newest runs of each named schedule, oldest first, their reasons cut short.

    One statement.

    It reads `count` entries a schedule of the index job_schedule_runs_once, backwards.
    """
    found: dict[str, list[Run]] = {name: [] for name in names}
    sql = f"""
        SELECT {_BRIEF}
        FROM unnest(%(names)s::text[]) AS s(name)
        CROSS JOIN LATERAL (
            SELECT * FROM job_schedule_runs WHERE schedule_name = s.name
            ORDER BY logical_time DESC LIMIT %(count)s) AS r
        LEFT JOIN LATERAL (
            SELECT {_JOBS} FROM job_statuses
            WHERE schedule <> '' AND schedule = r.schedule_name
                AND logical_time = r.logical_time) AS j ON true
        ORDER BY r.schedule_name, r.logical_time
    """
    for run in _read(sql, names=list(names), count=count):
        found[run.schedule].append(run)
    return found


def between(name: str, since: datetime, until: datetime, *, limit: int) -> list[Run]:
    """Return a schedule's runs from `since` to before `until`, oldest first: one statement.

    Their reasons are cut short. Of more than `limit` only the newest; then the list is one longer.
    """
    sql = f"""
        SELECT {_BRIEF}
        FROM (SELECT * FROM job_schedule_runs
            WHERE schedule_name = %(name)s AND logical_time >= %(since)s
                AND logical_time < %(until)s
            ORDER BY logical_time DESC LIMIT %(limit)s) AS r
        LEFT JOIN (
            SELECT logical_time, {_JOBS} FROM job_statuses
            WHERE schedule <> '' AND schedule = %(name)s AND logical_time >= %(since)s
                AND logical_time < %(until)s GROUP BY logical_time) AS j USING (logical_time)
        ORDER BY r.logical_time
    """
    return _read(sql, name=name, since=since, until=until, limit=limit + 1)


def newest(name: str, *, before: datetime | None = None, limit: int) -> list[Run]:
    """Return a schedule's newest runs, newest first: one statement.

    It reads `limit` entries of the index job_schedule_runs_once, backwards.

    Args:
        name: The schedule, there yet or not.
        before: Only those of earlier moments.
        limit: How many at most.
    """
    sql = f"""
        SELECT {_WHOLE}
        FROM (SELECT * FROM job_schedule_runs
            WHERE schedule_name = %(name)s
                AND logical_time < coalesce(%(before)s, 'infinity'::timestamptz)
            ORDER BY logical_time DESC LIMIT %(limit)s) AS r
        LEFT JOIN LATERAL (
            SELECT {_JOBS} FROM job_statuses
            WHERE schedule <> '' AND schedule = r.schedule_name
                AND logical_time = r.logical_time) AS j ON true
        ORDER BY r.logical_time DESC
    """
    return _read(sql, name=name, before=before, limit=limit)


def last_status() -> RawSQL:
    """Return an expression over schedules: the status of each one's newest run, or NULL."""
    return RawSQL(
        """
        (SELECT coalesce(
            (SELECT status::text FROM job_statuses
                WHERE schedule <> '' AND schedule = r.schedule_name
                    AND logical_time = r.logical_time
                ORDER BY array_position(%s::text[], status::text), id LIMIT 1),
            nullif(r.kept_status, ''), r.outcome)
        FROM job_schedule_runs AS r WHERE r.schedule_name = job_schedules.name
        ORDER BY r.logical_time DESC LIMIT 1)
        """,
        [_WORST],
        output_field=TextField(),
    )


def first_moment(name: str) -> datetime | None:
    """Return the logical time of a schedule's oldest run."""
    runs = ScheduleRun.objects.filter(schedule_name=name)
    return runs.order_by("logical_time").values_list("logical_time", flat=True).first()


def _read(sql: str, **params: Any) -> list[Run]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"worst": _WORST, **params})
        return [_run(*row) for row in cursor.fetchall()]


def _run(*row: Any) -> Run:
    id_, name, logical_time, outcome, reason, kind, made_by, kept, created_at, *of_jobs = row
    status, job_id, started_at, finished_at, rows, rejected = of_jobs
    return Run(
        id=id_,
        schedule=name,
        logical_time=logical_time,
        outcome=outcome,
        reason=reason,
        kind=kind,
        made_by=made_by,
        created_at=created_at,
        status=_worst(status, kept) or outcome,
        job_id=job_id,
        started_at=started_at,
        finished_at=finished_at,
        rows=None if rows is None else int(rows),
        rows_rejected=None if rejected is None else int(rejected),
    )


def _worst(*statuses: str | None) -> str:
    known = [status for status in statuses if status in _WORST]
    return min(known, key=_WORST.index, default="")
