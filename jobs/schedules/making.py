"""The run of a moment and its job: made together, once for each moment, one or many."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from jobs import conf, json_values, registry
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import DispatchError
from jobs.models import Backfill, JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import logical
from jobs.schedules.rules import rule_of
from jobs.values import value

logger = logging.getLogger("jobs.schedules")

LOGGED_ONE_BY_ONE = 10  # of one statement

Kind = ScheduleRun.Kind
Outcome = ScheduleRun.Outcome


@value
class Wish:
    """A run that somebody wants of a moment."""

    schedule: Schedule
    logical_time: datetime
    kind: Kind = Kind.TICK
    made_by: str = ""
    outcome: Outcome = Outcome.DISPATCHED  # any other makes no job
    reason: str = ""  # of the outcome, for people
    params: Mapping[str, Any] | None = None  # in the place of the schedule's own
    run_at: datetime | None = None  # the job starts no earlier
    depends_on: Sequence[UUID] = ()  # the job starts when these have ended, however they ended
    backfill: Backfill | None = None


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
    return make_many([wish])[0]


def make_many(wishes: Sequence[Wish]) -> list[ScheduleRun | None]:
    """Make what `wishes` say, each once, in their order: three statements for all.

    Call inside a transaction. A wish whose job can't be made becomes a refused run; what nobody
    foresaw is raised, and then nothing was made.

    Returns:
        A run for each wish; None where its moment has one.
    """
    drafts = [_checked(wish) for wish in wishes]
    runs = _inserted([wish for wish, _ in drafts])
    born = [
        (run, request)
        for run, (_, request) in zip(runs, drafts, strict=True)
        if run is not None and request is not None
    ]
    if born:
        _link(zip([run for run, _ in born], _dispatched(born), strict=True))
    _log([run for run in runs if run is not None])
    return runs


def _checked(wish: Wish) -> tuple[Wish, Request | None]:
    """Return the wish and its job; without one, and with the reason, where it can't be made."""
    if wish.outcome != Outcome.DISPATCHED:
        return wish, None
    try:
        request = _request(wish)
        create.check(request)
    except DispatchError as error:
        return refused(wish, str(error)), None
    return wish, request


def refused(wish: Wish, reason: str) -> Wish:
    """Return the wish for a run that says why this one's job can't be made."""
    return Wish(
        schedule=wish.schedule,
        logical_time=wish.logical_time,
        kind=wish.kind,
        made_by=wish.made_by,
        outcome=Outcome.REFUSED,
        reason=reason,
        backfill=wish.backfill,
    )


def _request(wish: Wish) -> Request:
    schedule = wish.schedule
    params = schedule.params if wish.params is None else wish.params
    return Request(
        spec=registry.get(schedule.job_class),
        params=logical.filled(params, rule_of(schedule), wish.logical_time),
        queue=schedule.queue or None,
        run_at=wish.run_at,
        schedule=schedule.name,
        logical_time=wish.logical_time,
    )


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


def _dispatched(born: Iterable[tuple[ScheduleRun, Request]]) -> list[JobStatus]:
    return create.dispatch([request for _, request in born])


def _link(pairs: Iterable[tuple[ScheduleRun, JobStatus]]) -> None:
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
    for run in runs:
        if run.outcome == Outcome.REFUSED:
            logger.error(
                "Schedule %s: the tick of %s made no job: %s",
                run.schedule_name,
                run.logical_time.isoformat(),
                run.reason,
            )
    _log_dispatched([run for run in runs if run.job is not None])
    skipped = [run for run in runs if run.outcome == Outcome.SKIPPED]
    for run in skipped[:LOGGED_ONE_BY_ONE]:
        logger.info(
            "Schedule %s: skipped %s: %s",
            run.schedule_name,
            run.logical_time.isoformat(),
            run.reason,
        )
    _log_rest("skipped", skipped)


def _log_dispatched(runs: Sequence[ScheduleRun]) -> None:
    for run in runs[:LOGGED_ONE_BY_ONE]:
        job = run.job
        assert job is not None  # noqa: S101 - the caller chose them so
        logger.info(
            "Schedule %s: dispatched job %s for %s",
            run.schedule_name,
            job.id,
            run.logical_time.isoformat(),
            extra={"job_id": str(job.id), "job_class": job.job_class, "queue": job.queue},
        )
    _log_rest("dispatched", runs)


def _log_rest(what: str, runs: Sequence[ScheduleRun]) -> None:
    if len(runs) > LOGGED_ONE_BY_ONE:
        logger.info("Schedules: %s %d more moments", what, len(runs) - LOGGED_ONE_BY_ONE)
