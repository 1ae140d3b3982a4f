"""From committed rows to Redis: after the commit, never before, and never at the caller's cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from jobs import registry
from jobs.broker import client, commands, registries
from jobs.broker import push as broker_push
from jobs.broker.push import Entry
from jobs.dispatch.breaker import Breaker
from jobs.models import JobStatus
from jobs.statuses import Status

logger = logging.getLogger("jobs.dispatch")

breaker = Breaker()

# What `entry_of` reads of a row; the others may stay in the table.
PUSHED = ("id", "queue", "claim", "job_class", "params", "created_at")


def entry_of(job: JobStatus) -> Entry:
    """Return what Redis is told of `job`: id and claim; redacted params for the dashboard."""
    return Entry(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        job_class=job.job_class,
        params=registry.shown_params(job.job_class, job.params),
        created_at=job.created_at,
    )


def push_on_commit(jobs: Sequence[JobStatus]) -> None:
    """Push those of `jobs` that are queued once the caller's transaction commits.

    The jobs of one transaction go in one pipeline (one for each savepoint that made some).
    Outside a transaction they are pushed at once. Never raises for Redis: the relay pushes what
    is missing.
    """
    queued = [job for job in jobs if job.status == Status.QUEUED]
    if not queued:
        return
    if not connection.in_atomic_block:
        push(queued)
        return
    waiting = _batch_of_this_savepoint()
    if waiting is None:
        transaction.on_commit(_Batch(list(queued)), robust=True)
    else:
        waiting.jobs.extend(queued)


@dataclass(slots=True)
class _Batch:
    """The commit hook: the jobs to push when this savepoint survives."""

    jobs: list[JobStatus]

    def __call__(self) -> None:
        push(self.jobs)


def _batch_of_this_savepoint() -> _Batch | None:
    here = set(connection.savepoint_ids)
    for entry in reversed(connection.run_on_commit):
        savepoints, hook = entry[0], entry[1]
        if isinstance(hook, _Batch):
            # Only the latest: joining an earlier one would overtake what was dispatched in between.
            return hook if savepoints == here else None
    return None


def push(jobs: Sequence[JobStatus], *, at_head: bool = False, may_wait: bool = False) -> bool:
    """Push queued `jobs` now. Returns whether Redis has them; logs why not.

    Args:
        jobs: Oldest first.
        at_head: Before everything that waits.
        may_wait: For whoever holds up nobody: a Redis that is slow for seconds isn't away.
    """
    if breaker.is_open:
        return False
    redis = client.for_work() if may_wait else client.for_push()
    try:
        broker_push.push(redis, [entry_of(job) for job in jobs], at_head=at_head)
    except client.Unreachable as error:
        breaker.trip()
        logger.warning(
            "Redis is unreachable: the relay will push %d job(s) later (%s)",
            len(jobs),
            error,
            extra={"job_ids": [str(job.id) for job in jobs[:20]]},
        )
        return False
    return True


def withdraw_on_commit(jobs: Sequence[JobStatus]) -> None:
    """Take what the dashboard shows of ended or cancelled `jobs` out of Redis after the commit.

    Reads `id` and `queue` of them.
    """
    ids_by_queue: dict[str, list[UUID]] = {}
    for job in jobs:
        ids_by_queue.setdefault(job.queue, []).append(job.id)
    if ids_by_queue:
        _after_commit("the dashboard shows stale entries", partial(_drop, ids_by_queue))


def stop_on_commit(jobs: Sequence[JobStatus]) -> None:
    """Tell the workers of started `jobs` to stop them, after the commit.

    Reads `id`, `claim` and the name of the worker of them.
    """
    stops = [
        commands.Stop(worker_name=job.worker.name, job_id=job.id, claim=job.claim)
        for job in jobs
        if job.worker is not None
    ]
    if stops:
        _after_commit("the workers learn of the cancel at their heartbeat", partial(_stop, stops))


def _drop(ids_by_queue: dict[str, list[UUID]]) -> None:
    registries.drop(client.for_push(), ids_by_queue)


def _stop(stops: list[commands.Stop]) -> None:
    commands.stop(client.for_push(), stops)


def _after_commit(otherwise: str, write: Callable[[], None]) -> None:
    transaction.on_commit(partial(_try, otherwise, write), robust=True)


def _try(otherwise: str, write: Callable[[], None]) -> None:
    if breaker.is_open:
        return
    try:
        write()
    except client.Unreachable as error:
        breaker.trip()
        logger.warning("Redis is unreachable: %s (%s)", otherwise, error)
