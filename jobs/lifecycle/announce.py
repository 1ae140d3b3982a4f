"""What others are told of attempts: the log, the dashboard, the push of a given-back job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs import conf, json_values, registry
from jobs.broker import client, registries
from jobs.broker import push as broker_push
from jobs.broker.client import Client
from jobs.dispatch import outbox
from jobs.lifecycle.outcomes import Completed, Failed, Outcome
from jobs.lifecycle.settle import Settled
from jobs.models import JobStatus
from jobs.statuses import Status

logger = logging.getLogger("jobs.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An attempt that has been settled, and what it ended with."""

    settled: Settled
    outcome: Outcome
    working_seconds: float = 0.0


def started(job: JobStatus, *, worker_name: str, worker_id: UUID, timeout_seconds: float) -> None:
    """Tell of an attempt that `start` has begun, and drop it from the worker's claims."""
    logger.info("Working on %s (%s, attempt %d)", job.id, job.job_class, job.attempt)
    begun = registries.Started(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        data=broker_push.description(
            job.job_class, registry.shown_params(job.job_class, job.params)
        ),
        created_at=job.created_at,
        timeout_seconds=timeout_seconds,
    )
    _show(
        lambda redis: registries.record_start(
            redis, worker_name=worker_name, worker_id=worker_id, started=[begun]
        )
    )


def ended(endings: Sequence[Ending], *, worker_name: str) -> None:
    """Tell of attempts that `settle` has recorded; reads and pushes those that were given back."""
    for ending in endings:
        _log(ending.settled)
    shown = [_shown(ending) for ending in endings]
    _show(lambda redis: registries.record_end(redis, worker_name=worker_name, ended=shown))
    given_back = [
        ending.settled.job_id for ending in endings if ending.settled.status is Status.QUEUED
    ]
    if given_back:
        jobs = JobStatus.objects.filter(id__in=given_back, status=Status.QUEUED)
        jobs = jobs.only(*outbox.PUSHED).order_by("due_at", "id")
        outbox.push(list(jobs), at_head=True)


def _show(write: Callable[[Client], None]) -> None:
    """Write what only the dashboard reads; a Redis that is away costs it, not the job."""
    try:
        write(client.for_work())
    except client.Unreachable as error:
        logger.warning("Redis is unreachable: the dashboard misses an entry (%s)", error)


def _shown(ending: Ending) -> registries.Ended:
    end, outcome = ending.settled, ending.outcome
    result: Any = outcome.result if isinstance(outcome, Completed) else None
    text = outcome.traceback if isinstance(outcome, Failed) else ""
    return registries.Ended(
        job_id=end.job_id,
        queue=end.queue,
        claim=end.claim,
        status=end.status,
        working_seconds=ending.working_seconds,
        result=result,
        # As the row has it: what Redis can't be told would end the runner.
        error=json_values.cleaned(text or end.error, limit_bytes=conf.current().max_error_bytes),
    )


def _log(end: Settled) -> None:
    extra = {"job_id": str(end.job_id), "queue": end.queue}
    wait_seconds = end.wait.total_seconds() if end.wait else 0.0
    match end.status:
        case Status.COMPLETED:
            logger.info("Job %s: completed", end.job_id, extra=extra)
        case Status.FAILED:
            logger.error("Job %s: failed: %s", end.job_id, end.error, extra=extra)
        case Status.RETRYING:
            logger.warning(
                "Job %s: retrying in %.1f s: %s", end.job_id, wait_seconds, end.error, extra=extra
            )
        case Status.SCHEDULED:
            logger.info("Job %s: snoozed for %.1f s", end.job_id, wait_seconds, extra=extra)
        case Status.QUEUED:
            logger.info("Job %s: given back", end.job_id, extra=extra)
        case _:
            logger.info("Job %s: %s: %s", end.job_id, end.status, end.error, extra=extra)
