"""The birth of jobs: check what was asked for, insert the rows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from jobs import conf
from jobs.broker import push as broker_push
from jobs.broker.push import Entry
from jobs.dispatch import bonds, dependent, insert, outbox
from jobs.dispatch.bonds import FREE, Bond, Bonds
from jobs.dispatch.insert import Draft, Terms
from jobs.errors import InvalidOption, ParamsTooLarge, UnknownQueue
from jobs.models import JobStatus
from jobs.models.job_status import new_job_id
from jobs.spec import MAX_TAG_LENGTH, MAX_TAGS, JobSpec, are_tags
from jobs.statuses import OnParentFailure, Status
from jobs.values import value

logger = logging.getLogger("jobs.dispatch")

LOGGED_ONE_BY_ONE = 10  # of one dispatch_many

# A far date would overflow PostgreSQL's timestamps long after it stopped being meant.
MAX_WAIT = timedelta(days=3_650)


@value
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
    job_id: UUID | None = None  # chosen before, so that others of the same call may depend on it
    step: str = ""  # the name in its workflow
    depends_on: tuple[UUID, ...] = ()  # jobs that there are, or that the same call makes
    on_parent_failure: str = OnParentFailure.CANCEL
    written: tuple[dict[str, Any], str] | None = None  # the params as `checked` found them


def dispatch(requests: Sequence[Request]) -> list[JobStatus]:
    """Make jobs in the caller's transaction, all or none; once it commits they are pushed.

    Becomes queued, or scheduled where `run_at` is yet to come by the database's clock; waiting
    where it depends on a job that hasn't completed. One statement and one push for each thousand.

    Raises:
        InvalidParams: With every fault of the first request that has any; then there is no row.
        ParamsTooLarge: The params exceed JOBS["MAX_PARAMS_BYTES"].
        UnknownQueue: No such queue in RQ_QUEUES.
        InvalidOption: `run_at`, `tags` or `depends_on` make no sense.
        UnknownParent: `depends_on` names a job that there is not.
    """
    return _dispatch(((request, request.params) for request in requests), _bonds(requests))


def dispatch_one(request: Request) -> JobStatus:
    """Make one job, as `dispatch` does: without what only many need.

    Raises:
        DispatchError: As `dispatch`.
    """
    if request.depends_on:
        return dispatch([request])[0]
    params, params_json = _written(request.spec, request.params)
    draft = _draft(request, params, params_json, _terms(request, None))
    job = insert.row(draft)
    if job.status == Status.QUEUED:
        outbox.push_on_commit([_entry(draft, job)])
    _log([draft])
    return job


def dispatch_many(request: Request, params: Iterable[Mapping[str, Any]]) -> list[JobStatus]:
    """Make a job for each of `params`, and else as `request` says; its own are none of them.

    Raises:
        DispatchError: As `dispatch`.
    """
    return _dispatch(((request, each) for each in params), _bonds([request]))


def _bonds(requests: Sequence[Request]) -> Bonds | None:
    if not any(request.depends_on for request in requests):
        return None
    return bonds.read(
        made={request.job_id for request in requests if request.job_id is not None},
        named={parent for request in requests for parent in request.depends_on},
    )


def _dispatch(
    wishes: Iterable[tuple[Request, Mapping[str, Any]]], bound: Bonds | None
) -> list[JobStatus]:
    drafts = _drafts(wishes, bound)
    jobs = insert.rows(drafts) if bound is None else dependent.rows(drafts, bound)
    made = zip(drafts, jobs, strict=True)
    # What was held is pushed by whoever releases it, perhaps by now.
    outbox.push_on_commit(
        [
            _entry(draft, job)
            for draft, job in made
            if job.status == Status.QUEUED and not draft.terms.bond.is_held
        ]
    )
    _log(drafts)  # an idle runner need not wait for that
    return jobs


def _entry(draft: Draft, job: JobStatus) -> Entry:
    if draft.terms.spec.params.redact:
        return outbox.entry_of(job)
    # The same, of the JSON that was written for the row.
    data = broker_push.described(job.job_class, draft.params_json)
    return Entry(draft.id_text, job.queue, job.claim, data, job.created_at)


def _log(drafts: Sequence[Draft]) -> None:
    # The row says so, and unlike a line it is gone after a rollback.
    if not logger.isEnabledFor(logging.DEBUG):
        return
    for _, job_id, _, _, terms in drafts[:LOGGED_ONE_BY_ONE]:
        logger.debug(
            "created job %s",
            job_id,
            extra={"job_id": job_id, "job_class": terms.spec.name, "queue": terms.queue},
        )
    if len(drafts) > LOGGED_ONE_BY_ONE:
        logger.debug("created %d more jobs", len(drafts) - LOGGED_ONE_BY_ONE)


def check(*requests: Request) -> None:
    """Raise what `dispatch` would raise for these requests; make nothing."""
    _drafts([(request, request.params) for request in requests], _bonds(requests))


def checked(request: Request) -> Request:
    """Return a request whose params `dispatch` need not check again; an author's check may be slow.

    Its parents are not looked at.

    Raises:
        DispatchError: As `dispatch`.
    """
    _terms(request, None)
    return replace(request, written=_written(request.spec, request.params))


def _drafts(
    wishes: Iterable[tuple[Request, Mapping[str, Any]]], bound: Bonds | None
) -> list[Draft]:
    drafts: list[Draft] = []
    before, terms = None, None
    for request, raw in wishes:
        params, params_json = request.written or _written(request.spec, raw)
        if before is None or terms is None or not _is_alike(request, before):
            terms = _terms(request, bound)
        before = request
        drafts.append(_draft(request, params, params_json, terms))
    return drafts


def _written(spec: JobSpec, raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    params, params_json = spec.params.written(raw)
    size_bytes, limit_bytes = len(params_json.encode()), conf.current().max_params_bytes
    if size_bytes > limit_bytes:
        raise ParamsTooLarge(spec.name, size_bytes=size_bytes, limit_bytes=limit_bytes)
    return params, params_json


def _draft(request: Request, params: dict[str, Any], params_json: str, terms: Terms) -> Draft:
    job_id = request.job_id or new_job_id()
    return Draft(job_id, str(job_id), params, params_json, terms)


def _is_alike(one: Request, other: Request) -> bool:
    """Whether two requests differ in their params at most."""
    return one is other or (
        one.spec is other.spec
        and one.queue == other.queue
        and one.run_at == other.run_at
        and one.tags == other.tags
        and one.created_by_id == other.created_by_id
        and one.schedule == other.schedule
        and one.logical_time == other.logical_time
        and one.job_id is None is other.job_id
        and one.depends_on == other.depends_on
        and one.on_parent_failure == other.on_parent_failure
    )


def _terms(request: Request, bound: Bonds | None) -> Terms:
    spec = request.spec
    run_at, wait_seconds = _when(request.run_at)
    return Terms(
        spec=spec,
        queue=_queue(request),
        max_attempts=spec.max_attempts or conf.current().max_attempts,
        tags=_tags(request),
        created_by_id=request.created_by_id,
        schedule=request.schedule,
        logical_time=request.logical_time,
        run_at=run_at,
        wait_seconds=wait_seconds,
        bond=FREE if bound is None else _bond(request, bound),
    )


def _bond(request: Request, bound: Bonds) -> Bond:
    return bound.bond(
        job_id=request.job_id,
        step=request.step,
        depends_on=request.depends_on,
        on_parent_failure=request.on_parent_failure,
    )


def _queue(request: Request) -> str:
    settings = conf.current()
    queue = request.queue or request.spec.queue or settings.queue
    if queue not in settings.queues:
        raise UnknownQueue(queue, known=settings.queues)
    return queue


def _tags(request: Request) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys((*request.spec.tags, *request.tags)))
    if not are_tags(tags):
        raise InvalidOption(
            f"tags must be up to {MAX_TAGS} texts of up to {MAX_TAG_LENGTH} characters each."
        )
    return tags


def _when(run_at: datetime | timedelta | None) -> tuple[datetime | None, float | None]:
    """Return an aware moment, or a wait in seconds, or neither."""
    match run_at:
        case None:
            return None, None
        case timedelta():
            wait = run_at
            seconds = max(0.0, run_at.total_seconds())  # a long past would overflow as well
            when: tuple[datetime | None, float | None] = (None, seconds)
        case datetime():
            if timezone.is_naive(run_at):
                raise InvalidOption("run_at needs a time zone: 2026-12-01T08:00:00+00:00.")
            wait = run_at - timezone.now()  # only to bound it; the database's clock decides
            when = (run_at, None)
        case _:
            raise InvalidOption("run_at must be an aware datetime, or a timedelta from now.")
    if wait > MAX_WAIT:
        raise InvalidOption(f"run_at is more than {MAX_WAIT.days} days ahead.")
    return when
