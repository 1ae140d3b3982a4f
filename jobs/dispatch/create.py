"""The birth of jobs: check what was asked for, INSERT the rows in one statement."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from jobs import conf, json_values
from jobs.dispatch import outbox
from jobs.errors import InvalidOption, ParamsTooLarge, UnknownQueue
from jobs.models import JobStatus, clock
from jobs.models.job_status import new_job_id
from jobs.spec import MAX_TAG_LENGTH, MAX_TAGS, JobSpec, are_tags

logger = logging.getLogger("jobs.dispatch")

LOGGED_ONE_BY_ONE = 10  # of one dispatch_many

# A far date would overflow PostgreSQL's timestamps long after it stopped being meant.
MAX_WAIT = timedelta(days=3_650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job that somebody wants; what is None comes from the class, then from the settings."""

    spec: JobSpec
    params: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    run_at: datetime | timedelta | None = None  # an aware moment, or a wait from now
    tags: tuple[str, ...] = ()  # beside those of the job class
    created_by_id: Any = None
    schedule: str = ""
    logical_time: datetime | None = None


def dispatch(requests: Sequence[Request]) -> list[JobStatus]:
    """Make jobs in the caller's transaction; once it commits they are pushed.

    Raises:
        DispatchError: As `create`; then there is no row.
    """
    jobs = create(requests)
    _log(jobs)
    outbox.push_on_commit(jobs)
    return jobs


def _log(jobs: Sequence[JobStatus]) -> None:
    for job in jobs[:LOGGED_ONE_BY_ONE]:
        logger.info(
            "created job %s",
            job.id,
            extra={"job_id": str(job.id), "job_class": job.job_class, "queue": job.queue},
        )
    if len(jobs) > LOGGED_ONE_BY_ONE:
        logger.info("created %d more jobs", len(jobs) - LOGGED_ONE_BY_ONE)


def create(requests: Sequence[Request]) -> list[JobStatus]:
    """Insert one row for each request, all or none, in one statement.

    Becomes queued, or scheduled where `run_at` is yet to come by the database's clock. Pushes
    nothing: that is `dispatch`'s.

    Raises:
        InvalidParams: With every fault of the first request that has any.
        ParamsTooLarge: The params exceed JOBS["MAX_PARAMS_BYTES"].
        UnknownQueue: No such queue in RQ_QUEUES.
        InvalidOption: `run_at` or `tags` make no sense.
    """
    rows = [_row(request) for request in requests]
    if not rows:
        return []
    by_id = {job.id: job for job in JobStatus.objects.raw(_insert(), [json_values.dump(rows)])}
    return [by_id[UUID(row["id"])] for row in rows]


def check(request: Request) -> None:
    """Raise what `create` would raise for this request; make nothing."""
    _row(request)


def _row(request: Request) -> dict[str, Any]:
    settings = conf.current()
    spec = request.spec
    params = spec.params.check(request.params)
    size_bytes = len(json_values.dump(params).encode())
    if size_bytes > settings.max_params_bytes:
        raise ParamsTooLarge(
            spec.name, size_bytes=size_bytes, limit_bytes=settings.max_params_bytes
        )
    return {
        "id": str(new_job_id()),
        "job_class": spec.name,
        "queue": _queue(request),
        "params": params,
        "max_attempts": spec.max_attempts or settings.max_attempts,
        "tags": _tags(request),
        "created_by_id": request.created_by_id,
        "schedule": request.schedule,
        "logical_time": request.logical_time.isoformat() if request.logical_time else None,
        **_when(request.run_at),
    }


def _queue(request: Request) -> str:
    settings = conf.current()
    queue = request.queue or request.spec.queue or settings.queue
    if queue not in settings.queues:
        raise UnknownQueue(queue, known=settings.queues)
    return queue


def _tags(request: Request) -> list[str]:
    tags = tuple(dict.fromkeys((*request.spec.tags, *request.tags)))
    if not are_tags(tags):
        raise InvalidOption(
            f"tags must be up to {MAX_TAGS} texts of up to {MAX_TAG_LENGTH} characters each."
        )
    return list(tags)


def _when(run_at: datetime | timedelta | None) -> dict[str, Any]:
    match run_at:
        case None:
            return {"run_at": None, "wait_seconds": None}
        case timedelta():
            wait = run_at
            seconds = max(0.0, run_at.total_seconds())  # a long past would overflow as well
            when: dict[str, Any] = {"run_at": None, "wait_seconds": seconds}
        case datetime():
            if timezone.is_naive(run_at):
                raise InvalidOption("run_at needs a time zone: 2026-12-01T08:00:00+00:00.")
            wait = run_at - timezone.now()  # only to bound it; the database's clock decides
            when = {"run_at": run_at.isoformat(), "wait_seconds": None}
        case _:
            raise InvalidOption("run_at must be an aware datetime, or a timedelta from now.")
    if wait > MAX_WAIT:
        raise InvalidOption(f"run_at is more than {MAX_WAIT.days} days ahead.")
    return when


def _insert() -> str:
    now = clock.NOW
    user_type = JobStatus._meta.get_field("created_by").db_type(connection)
    return f"""
        INSERT INTO job_statuses (
            id, job_class, queue, params, status, attempt, max_attempts, claim, losses,
            interruptions, created_at, updated_at, due_at, cancel_requested_by, cancel_reason,
            error, tags, held_by,
            created_by_id, schedule, logical_time)
        SELECT
            n.id, n.job_class, n.queue, n.params,
            CASE WHEN d.due_at > {now} THEN 'scheduled' ELSE 'queued' END,
            0, n.max_attempts, 0, 0, 0, {now}, {now}, d.due_at, '', '', '', n.tags, '',
            n.created_by_id, n.schedule, n.logical_time
        FROM jsonb_to_recordset(%s::jsonb) AS n(
                id uuid, job_class text, queue text, params jsonb, max_attempts int, tags text[],
                created_by_id {user_type}, schedule text, logical_time timestamptz,
                run_at timestamptz, wait_seconds float8),
            LATERAL (SELECT greatest({now}, coalesce(
                n.run_at, {now} + make_interval(secs => n.wait_seconds)))) AS d(due_at)
        RETURNING *
    """
