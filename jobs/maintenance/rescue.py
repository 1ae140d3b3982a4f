"""The rescue: what dead workers held is settled, put back, and taken off the dashboard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models.expressions import RawSQL

from jobs import conf
from jobs.broker import client as broker_client
from jobs.broker.departed import Departed
from jobs.errors import WorkerLost
from jobs.lifecycle import settle, verdict
from jobs.lifecycle.outcomes import Settlement
from jobs.lifecycle.settle import Settled
from jobs.maintenance import leavings
from jobs.maintenance.watch import HeartbeatWatch
from jobs.models import JobStatus, JobWorker, clock
from jobs.statuses import Status

logger = logging.getLogger("jobs.maintenance")

SETTLED_AT_ONCE = 500

# What a settlement as lost reads of a row; params and result, a megabyte each, are left in the
# table.
_SETTLED = ("id", "job_class", "attempt", "max_attempts", "claim", "losses", "worker_id")


def _yes() -> bool:
    return True


def rescue(watch: HeartbeatWatch, go_on: Callable[[], bool] = _yes) -> list[Settled]:
    """Declare silent workers dead and settle what dead and stopped workers left started.

    started -> retrying, failed, cancelled. Opens its own transactions. Safe with two leaders: a
    death is a compare-and-set on the heartbeat, a settlement is fenced by the claim. Repeats
    nothing that is done, finishes what was begun.

    Args:
        watch: What this leader has seen of the heartbeats.
        go_on: Asked before each step; after a no the next pass, perhaps another's, goes on.

    Raises:
        broker.client.Unreachable: The rows are settled; Redis is cleared by a later pass.
        django.db.DatabaseError: As `settle_orphans`; Redis is cleared all the same.
    """
    for worker_id, heartbeat_at in watch.look().items():
        if not go_on():
            return []
        try:
            _declare_dead(worker_id, heartbeat_at)
        except DatabaseError:
            # A lock or a full disk: what refuses us this write may have refused them theirs.
            watch.begin_anew()
            raise
    try:
        return settle_orphans(go_on)
    finally:
        # One that can't be settled holds up nothing that others left.
        for clear in (lambda: leavings.clear(_departed()), leavings.show_ends):
            if go_on():
                clear()


def rescue_worker(worker_id: UUID, error: WorkerLost) -> list[Settled]:
    """Settle what one worker left, whose death is certain: its name is being taken over.

    started -> retrying, failed, cancelled. Opens its own transactions. Dead stays dead: its next
    heartbeat and start are refused. Redis down: logged, the leader's rescue clears it later.

    Args:
        worker_id: The JobWorker row of the dead worker.
        error: What the attempts' error says.
    """
    worker = JobWorker.objects.filter(id=worker_id)
    worker.filter(dead_at=None).update(dead_at=RawSQL(clock.WALL, ()))
    jobs = JobStatus.objects.filter(worker=worker_id, status=Status.STARTED).only(*_SETTLED)
    settled = settle_lost(jobs, error)
    try:
        leavings.clear(
            Departed(worker_id=row.id, name=row.name, queues=tuple(row.queues)) for row in worker
        )
    except broker_client.Unreachable as unreachable:
        logger.warning("Redis is unreachable: a dead worker is cleared later (%s)", unreachable)
    return settled


def _declare_dead(worker_id: UUID, heartbeat_at: datetime) -> None:
    # It may have beaten since we looked; then no row moves and it lives.
    died = JobWorker.objects.filter(
        id=worker_id, heartbeat_at=heartbeat_at, stopped_at=None, dead_at=None
    ).update(dead_at=RawSQL(clock.WALL, ()))
    if died:
        logger.error(
            "Worker %s is dead: no heartbeat since %s",
            JobWorker.objects.values_list("name", flat=True).filter(id=worker_id).first(),
            heartbeat_at.isoformat(timespec="seconds"),
            extra={"worker_id": str(worker_id)},
        )


def settle_orphans(go_on: Callable[[], bool] = _yes) -> list[Settled]:
    """Settle the started rows whose worker is dead, has stopped a lease ago, or has no row.

    Args:
        go_on: Asked before each job.

    Raises:
        django.db.DatabaseError: Some can't be settled, this is the last one's; the others are.
    """
    settled: list[Settled] = []
    refused: DatabaseError | None = None
    lease_seconds = conf.current().lease.total_seconds()
    given = [lease_seconds, lease_seconds, SETTLED_AT_ONCE]
    jobs = list(JobStatus.objects.raw(_orphans(), given))
    worker_by_id = JobWorker.objects.in_bulk({job.worker_id for job in jobs})
    for job in jobs:
        if not go_on():
            break
        try:
            settled += settle_lost([job], WorkerLost(_why(worker_by_id.get(job.worker_id))))
        except DatabaseError as error:
            if not connection.is_usable():
                raise
            logger.exception("Job %s can't be settled", job.id, extra={"job_id": str(job.id)})
            refused = error
    if refused is not None:
        raise refused
    return settled


def _why(worker: JobWorker | None) -> str:
    if worker is None:
        return "The worker's record is gone."
    said = f"{worker.name} (pid {worker.pid} on {worker.host})"
    return f"Worker {said} died or fell silent before the attempt ended."


def _orphans() -> str:
    # By `job_statuses_by_status`: as many rows as there are running jobs. One that somebody holds
    # locked has its turn in a later pass. Who stopped in the future, beyond a lease, did so before
    # the database's clock was set back.
    return f"""
        SELECT {", ".join(f"j.{column}" for column in _SETTLED)}
        FROM job_statuses j LEFT JOIN job_workers w ON w.id = j.worker_id
        WHERE j.status = 'started' AND (w.id IS NULL OR w.dead_at IS NOT NULL
            OR w.stopped_at NOT BETWEEN {clock.WALL} - make_interval(secs => %s)
                AND {clock.WALL} + make_interval(secs => %s))
        ORDER BY j.id LIMIT %s FOR UPDATE OF j SKIP LOCKED
    """


def settle_lost(jobs: Iterable[JobStatus], error: WorkerLost) -> list[Settled]:
    """Settle the running attempts of `jobs` as lost. What has moved on meanwhile is left alone."""
    settlements = [
        Settlement(job_id=job.id, claim=job.claim, outcome=verdict.of_loss(job, error))
        for job in jobs
    ]
    settled = settle.settle(settlements)
    for done in settled:
        logger.warning(
            "Job %s: %s (%s)",
            done.job_id,
            done.status,
            done.error,
            extra={"job_id": str(done.job_id)},
        )
    return settled


def _departed() -> list[Departed]:
    with connection.cursor() as cursor:
        cursor.execute(_departures(), [conf.current().lease.total_seconds()])
        return [
            Departed(worker_id=worker_id, name=name, queues=tuple(queues))
            for worker_id, name, queues in cursor.fetchall()
        ]


def _departures() -> str:
    # Of the last day; Redis is seldom away for longer.
    wall = clock.WALL
    return f"""
        SELECT id, name, queues FROM job_workers
        WHERE dead_at > {wall} - interval '1 day'
            OR stopped_at BETWEEN {wall} - interval '1 day' AND {wall} - make_interval(secs => %s)
        ORDER BY coalesce(dead_at, stopped_at) DESC LIMIT 500
    """
