"""What others are told of attempts: the log, the dashboard, the push of a given-back job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from jobs import conf, json_values, log_lines, registry
from jobs.broker import claim, client, past, registries
from jobs.broker import push as broker_push
from jobs.broker.client import Client
from jobs.broker.registries import Described, Ended, Started
from jobs.broker.seldom import Seldom
from jobs.dispatch import outbox
from jobs.lifecycle import verdict
from jobs.lifecycle.end_lines import EndLines
from jobs.lifecycle.outcomes import Completed, Failed, Outcome, Unbegun
from jobs.lifecycle.settle import Settled
from jobs.models import JobStatus
from jobs.statuses import TERMINAL, Status
from jobs.values import value

logger = logging.getLogger("jobs.worker")
_unread = Seldom(logger, "PostgreSQL doesn't answer: what it has recorded is told late (%s)")


@value
class Ending:
    """An attempt that has been settled, and what it ended with."""

    settled: Settled
    outcome: Outcome
    # As it was started; without it the dashboard can't describe a job whose entry Redis has lost.
    job: JobStatus | None = None

    @property
    def seconds(self) -> float:
        """How long it worked."""
        end = self.settled
        if end.started_at is None or isinstance(self.outcome, Unbegun):
            return 0.0
        return (end.ended_at - end.started_at).total_seconds()


def started(jobs: Sequence[JobStatus], *, worker_name: str, worker_id: UUID) -> None:
    """Tell of attempts that run, and drop them from the worker's claims: one round trip."""
    if not jobs:
        return
    for job in jobs:
        logger.info("Working on %s (%s, attempt %d)", job.id, job.job_class, job.attempt)
    begun = [_begun(job) for job in jobs]
    _show(
        lambda redis: registries.record_start(
            redis, worker_name=worker_name, worker_id=worker_id, started=begun
        )
    )


def _begun(job: JobStatus) -> Started:
    return Started(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        data=_described(job).data,
        created_at=job.created_at,
        timeout_seconds=verdict.timeout_of(job).total_seconds(),
        started_at=job.started_at,
    )


def ended(endings: Sequence[Ending], *, worker_name: str, worker_id: UUID) -> None:
    """Tell of attempts that `settle` has recorded, and push those that were given back.

    Reads the given-back rows; they go to the heads of their queues, in the order of `endings`.
    """
    if not endings:
        return
    show(shown(endings), worker_name=worker_name, worker_id=worker_id)
    push_given_back(endings)


def show(told: Sequence[Ended], *, worker_name: str, worker_id: UUID) -> None:
    """Tell the dashboard of ends that `shown` has returned."""
    if told:
        _show(
            lambda redis: registries.record_end(
                redis, worker_name=worker_name, worker_id=worker_id, ended=told
            )
        )


def shown(endings: Sequence[Ending]) -> list[Ended]:
    """Log the ends of attempts; return what `claim.take` or `ended` tells the dashboard."""
    lines = EndLines()
    with log_lines.STDERR.together():
        for ending in endings:
            lines.write(ending.settled, ending.seconds)
    return [_shown(ending) for ending in endings]


def push_given_back(endings: Sequence[Ending]) -> None:
    """Push those jobs that are queued again, to the heads of their queues, in this order.

    After the dashboard has been told: what it is told of a given-back job is that it runs no more.
    Where PostgreSQL has gone away meanwhile the relay pushes them.
    """
    ids = [ending.settled.job_id for ending in endings if ending.settled.status is Status.QUEUED]
    if not ids:
        return
    try:
        jobs = JobStatus.objects.filter(status=Status.QUEUED).only(*outbox.PUSHED).in_bulk(ids)
    except (DatabaseError, InterfaceError) as error:
        # Their ends are recorded: an error would tell the caller that they aren't.
        _unread.warn(error)
        return
    outbox.push([jobs[job_id] for job_id in ids if job_id in jobs], at_head=True)


def dropped(job_ids: Sequence[UUID], *, worker_name: str, worker_id: UUID) -> None:
    """Drop from the worker's claims what did not start; tell the dashboard what has become of it.

    Mostly it knows. But an attempt may have ended while Redis was away, and of a short one the end
    is all that it is ever told. Where PostgreSQL has gone away they stay among the claims. A row
    that is queued was held by somebody, or refused: the relay pushes it again, until it starts.
    """
    statuses = [*TERMINAL, Status.QUEUED]
    try:
        rows = list(JobStatus.objects.filter(id__in=job_ids, status__in=statuses).defer("params"))
    except (DatabaseError, InterfaceError) as error:
        # The caller has jobs that did start, in the same commit: those must run.
        _unread.warn(error)
        return
    told = [
        Ended(
            job_id=job.id,
            queue=job.queue,
            claim=job.claim,
            status=Status(job.status),
            working_seconds=0.0,
            result=job.result,
            error=job.error,
            started_at=job.started_at,
            ended_at=job.finished_at,
        )
        for job in rows
        if job.status != Status.QUEUED
    ]
    queued = [str(job.id) for job in rows if job.status == Status.QUEUED]

    def tell(redis: Client) -> None:
        untold = past.untold(redis, told)
        registries.record_end(redis, worker_name=worker_name, worker_id=worker_id, ended=untold)
        claim.disown(redis, worker_id, queued)
        claim.forget(redis, worker_id, [str(job_id) for job_id in job_ids])

    _show(tell)


def _show(write: Callable[[Client], None]) -> None:
    """Write what only the dashboard reads; a Redis that is away costs it, not the job."""
    try:
        write(client.for_work())
    except client.Unreachable as error:
        registries.missed(error)


def _described(job: JobStatus) -> Described:
    params = registry.shown_params(job.job_class, job.params)
    return Described(data=broker_push.description(job.job_class, params), created_at=job.created_at)


def _shown(ending: Ending) -> Ended:
    end, outcome = ending.settled, ending.outcome
    result, text, error = None, "", end.error
    if isinstance(outcome, Completed):
        result, text = outcome.result, outcome.text
    elif isinstance(outcome, Failed):
        error = outcome.traceback or error
    return Ended(
        job_id=end.job_id,
        queue=end.queue,
        claim=end.claim,
        status=end.status,
        working_seconds=ending.seconds,
        result=result,
        text=text,
        # As the row has it: what Redis can't be told would end the runner.
        error=error and json_values.cleaned(error, limit_bytes=conf.current().max_error_bytes),
        started_at=end.started_at,
        ended_at=end.ended_at,
        describe=None if ending.job is None else partial(_described, ending.job),
    )
