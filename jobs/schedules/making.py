"""The run of a moment and its jobs: inserted together, once for each moment, one or many."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import connection

from jobs import conf, json_values
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.models import Backfill, JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import drafts
from jobs.schedules.drafts import Draft, Kind, Outcome, Wish
from jobs.schedules.moments.missed import Handled

logger = logging.getLogger("jobs.schedules")

LOGGED_ONE_BY_ONE = 10  # of one statement


def make(
    schedule: Schedule,
    logical_time: datetime,
    *,
    kind: Kind,
    made_by: str = "",
    params: Mapping[str, Any] | None = None,
    backfill: Backfill | None = None,
) -> ScheduleRun | None:
    """Make the run of a moment and its job. Call inside a transaction.

    Where the job can't be made the run is refused, and keeps why.

    Args:
        schedule: Its job, and its params where none are given.
        logical_time: Any moment; the names in the params stand for it.
        kind: Who asks for it.
        made_by: The person who does, or nobody.
        params: In the place of the schedule's own.
        backfill: Which it belongs to.

    Returns:
        The run; None where this moment has one.
    """
    wish = Wish(
        schedule=schedule,
        logical_time=logical_time,
        kind=kind,
        made_by=made_by,
        params=params,
        backfill=backfill,
    )
    return make_many([drafts.draft(wish)])[0]


def make_many(wanted: Sequence[Draft]) -> list[ScheduleRun | None]:
    """Make runs and their jobs, each moment once: a few statements for all.

    Call inside a transaction. What nobody foresaw is raised, and then nothing was made.

    Args:
        wanted: Their jobs may depend on those of drafts before them.

    Returns:
        A run for each draft; None where its moment has one.
    """
    runs = _inserted([each.wish for each in wanted])
    born = _born(wanted, runs)
    if born:
        jobs = {job.id: job for job in create.dispatch(born)}
        firsts = [
            (run, jobs[each.job_ids[0]])
            for run, each in zip(runs, wanted, strict=True)
            if run is not None and each.requests
        ]
        _link(firsts)
    _log([run for run in runs if run is not None])
    return runs


def made_of(moments_by_name: Mapping[str, Sequence[Handled]]) -> Mapping[str, set[datetime]]:
    """Return those of these moments that have a run: one statement, by job_schedule_runs_once.

    The database's clock was set back since, a backup was restored, a backfill was there before.

    Args:
        moments_by_name: By schedule; where there are none, nothing is asked.
    """
    made: dict[str, set[datetime]] = {name: set() for name in moments_by_name}
    given = [(name, one.moment) for name, some in moments_by_name.items() for one in some]
    if given:
        names, moments = zip(*given, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT r.schedule_name, r.logical_time
                FROM unnest(%s::text[], %s::timestamptz[]) AS given(name, moment)
                JOIN job_schedule_runs r
                    ON r.schedule_name = given.name AND r.logical_time = given.moment
                """,
                [list(names), list(moments)],
            )
            for name, moment in cursor.fetchall():
                made[name].add(moment)
    return made


def _born(wanted: Sequence[Draft], runs: Sequence[ScheduleRun | None]) -> list[Request]:
    """Return the jobs of new runs; what depends on one that is not made waits for what it would."""
    instead: dict[UUID, tuple[UUID, ...]] = {}
    born = []
    for each, run in zip(wanted, runs, strict=True):
        for request in each.requests:
            parents = (instead.get(parent, (parent,)) for parent in request.depends_on)
            depends_on = tuple(chain.from_iterable(parents))
            if run is not None:
                born.append(replace(request, depends_on=depends_on))
            elif request.job_id is not None:
                instead[request.job_id] = depends_on
    return born


def _inserted(wishes: Sequence[Wish]) -> list[ScheduleRun | None]:
    """Insert the runs of those moments that have none (job_schedule_runs_once)."""
    rows = [_run(wish) for wish in wishes]
    columns = (
        [row.schedule_name for row in rows],
        [row.logical_time for row in rows],
        [row.outcome for row in rows],
        [row.reason for row in rows],
        [row.kind for row in rows],
        [row.made_by for row in rows],
        [row.backfill_id for row in rows],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO job_schedule_runs (schedule_name, logical_time, outcome, reason, kind,
                made_by, backfill_id, kept_status, created_at)
            SELECT new.*, '', {clock.NOW}
            FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
                %s::text[], %s::bigint[]) AS new
            ON CONFLICT (schedule_name, logical_time) DO NOTHING
            RETURNING schedule_name, logical_time, id, created_at
            """,
            columns,
        )
        found = {(name, moment): rest for name, moment, *rest in cursor.fetchall()}
    for row in rows:
        # Of two wishes for one moment the first has it.
        row.id, row.created_at = found.pop((row.schedule_name, row.logical_time), (None, None))
        row._state.adding = False  # noqa: SLF001 - what bulk_create does with what it inserted
    return [row if row.id is not None else None for row in rows]


def _run(wish: Wish) -> ScheduleRun:
    limit_bytes = conf.current().max_error_bytes
    return ScheduleRun(
        schedule_name=wish.schedule.name,
        logical_time=wish.logical_time,
        outcome=wish.outcome,
        reason=json_values.cleaned(wish.reason, limit_bytes=limit_bytes),
        kind=wish.kind,
        made_by=wish.made_by[:150],
        backfill=wish.backfill,
    )


def _link(pairs: Sequence[tuple[ScheduleRun, JobStatus]]) -> None:
    """Write the job on each run."""
    ids, job_ids = [], []
    for run, job in pairs:
        run.job = job
        ids.append(run.id)
        job_ids.append(job.id)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE job_schedule_runs r SET job_id = made.job_id
            FROM unnest(%s::bigint[], %s::uuid[]) AS made(id, job_id) WHERE r.id = made.id
            """,
            [ids, [str(job_id) for job_id in job_ids]],
        )


def _log(runs: Sequence[ScheduleRun]) -> None:
    by_outcome: dict[str, list[ScheduleRun]] = {outcome.value: [] for outcome in Outcome}
    for run in runs:
        by_outcome[run.outcome].append(run)
    for outcome, some in by_outcome.items():
        for run in some[:LOGGED_ONE_BY_ONE]:
            _log_one(run)
        if len(some) > LOGGED_ONE_BY_ONE:
            logger.info("Schedules: %s %d more moments", outcome, len(some) - LOGGED_ONE_BY_ONE)


def _log_one(run: ScheduleRun) -> None:
    name, moment = run.schedule_name, run.logical_time.isoformat()
    if run.job is not None:
        logger.info(
            "Schedule %s: dispatched job %s for %s",
            name,
            run.job.id,
            moment,
            extra={
                "job_id": str(run.job.id),
                "job_class": run.job.job_class,
                "queue": run.job.queue,
            },
        )
    elif run.outcome == Outcome.REFUSED:
        logger.error("Schedule %s: the tick of %s made no job: %s", name, moment, run.reason)
    else:
        logger.info("Schedule %s: skipped %s: %s", name, moment, run.reason)
