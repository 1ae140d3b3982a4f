"""From committed rows to Redis: after the commit, never before, and never at the caller's cost.

A dispatch doesn't wait for Redis: what it sends is answered before the next of its thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from jobs import registry
from jobs.broker import client, commands, registries, sending
from jobs.broker import push as broker_push
from jobs.broker.push import Entry
from jobs.broker.sending import Line
from jobs.dispatch.breaker import Breaker
from jobs.models import JobStatus
from jobs.statuses import Status

logger = logging.getLogger("jobs.dispatch")

breaker = Breaker()

# What `entry_of` reads of a row; the others may stay in the table.
PUSHED = ("id", "queue", "claim", "job_class", "params", "created_at")


def entry_of(job: JobStatus) -> Entry:
    """Return what Redis is told of `job`: id and claim; redacted params for the dashboard."""
    shown = registry.shown_params(job.job_class, job.params)
    return Entry(
        job_id=str(job.id),
        queue=job.queue,
        claim=job.claim,
        data=broker_push.description(job.job_class, shown),
        created_at=job.created_at,
    )


def entries_of(jobs: Iterable[JobStatus]) -> list[Entry]:
    """Return the entries of those of `jobs` that are queued."""
    return [entry_of(job) for job in jobs if job.status == Status.QUEUED]


def push_on_commit(entries: Sequence[Entry]) -> None:
    """Push `entries` once the caller's transaction commits.

    Those of one transaction go together (those of each savepoint that made some). Outside a
    transaction they are pushed at once. Doesn't wait for Redis, nor raises for it: the relay pushes
    what is missing.
    """
    if not entries:
        return
    if not connection.in_atomic_block:
        _send(entries)
        return
    waiting = _batch_of_this_savepoint()
    if waiting is None:
        transaction.on_commit(_Batch(list(entries)), robust=True)
    else:
        waiting.entries.extend(entries)


@dataclass(slots=True)
class _Batch:
    """The commit hook: what to push when this savepoint survives."""

    entries: list[Entry]

    def __call__(self) -> None:
        _send(self.entries)


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
    hear()
    if breaker.is_open:
        return False
    entries = [entry_of(job) for job in jobs]
    redis = client.for_work() if may_wait else client.for_push()
    try:
        broker_push.push(redis, entries, at_head=at_head)
    except client.Unreachable as error:
        _give_up(entries, error)
        return False
    return True


def hear() -> None:
    """Wait until Redis has answered this thread's last push, if it hasn't yet.

    What the thread then asks of Redis comes after that push. Logs what has been lost.
    """
    if not breaker.is_open:
        _hear(sending.line())


def _hear(line: Line) -> None:
    entries = line.unheard
    try:
        line.hear()
    except client.Unreachable as error:
        _give_up(entries, error, asked_at=line.sent_at)


def _send(entries: Sequence[Entry]) -> None:
    line = sending.line()
    for begin in range(0, len(entries), broker_push.MAX_AT_ONCE):
        if not breaker.is_open:
            _hear(line)
        if breaker.is_open:
            return
        try:
            line.send(entries[begin : begin + broker_push.MAX_AT_ONCE])
        except client.Unreachable as error:
            _give_up(entries[begin:], error)
            return


def _give_up(entries: Sequence[Entry], error: Exception, *, asked_at: float | None = None) -> None:
    breaker.trip(asked_at=asked_at)
    logger.warning(
        "Redis is unreachable: the relay will push %d job(s) later (%s)",
        len(entries),
        error,
        extra={"job_ids": [entry.job_id for entry in entries[:20]]},
    )


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
    hear()
    if breaker.is_open:
        return
    try:
        write()
    except client.Unreachable as error:
        breaker.trip()
        logger.warning("Redis is unreachable: %s (%s)", otherwise, error)
