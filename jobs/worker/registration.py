"""The worker's own row: registered at its start, renewed by heartbeats, closed at its end."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from jobs import conf, json_values
from jobs.errors import NameTaken, NameUnclear
from jobs.models import JobWorker, clock
from jobs.models.job_status import new_job_id
from jobs.processes import birthmark

MAX_RELEASE = 100  # characters; of job_workers.release


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a worker says of itself."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    release: str
    host: str
    pid: int
    birthmark: str  # of processes/birthmark.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A row that says this worker runs it."""

    job_id: UUID
    claim: int
    is_cancel_requested: bool


def describe_this_process(name: str, queues: tuple[str, ...], concurrency: int) -> Identity:
    """Return the identity of a worker in this process."""
    return Identity(
        name=name,
        queues=queues,
        concurrency=concurrency,
        release=os.environ.get("RELEASE", "")[:MAX_RELEASE],
        host=socket.gethostname(),
        pid=os.getpid(),
        birthmark=birthmark.of_this_process(),
    )


def register(identity: Identity) -> tuple[UUID, list[UUID]]:
    """Insert this worker's row. Opens its own transaction; two of one name stand in line.

    Returns:
        Its id, and the ids of dead workers of this name, which it takes over: rescue their jobs.

    Raises:
        NameTaken: A living worker has this name.
        NameUnclear: Its heartbeat is younger than a lease, and its process is nowhere to be seen.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"jobs.worker {identity.name}"],
            )
        lost = _dead_namesakes(identity)
        return _insert(identity), lost


def _dead_namesakes(identity: Identity) -> list[UUID]:
    lost = []
    for other in JobWorker.objects.filter(name=identity.name, stopped_at=None, dead_at=None):
        if not _is_alive(other, identity):
            lost.append(other.id)
            continue
        message = (
            f"A living worker is named {identity.name!r} (pid {other.pid} on {other.host}). "
            "Choose another --name."
        )
        if birthmark.is_alive(other.birthmark, other.pid):
            raise NameTaken(message)
        raise NameUnclear(message, heartbeat_at=other.heartbeat_at)
    return lost


def _insert(identity: Identity) -> UUID:
    worker_id = new_job_id()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO job_workers (id, name, host, pid, birthmark, queues, concurrency, release,
                started_at, heartbeat_at, runners)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, {clock.WALL}, {clock.WALL}, '[]')
            """,
            [
                worker_id,
                identity.name,
                identity.host,
                identity.pid,
                identity.birthmark,
                list(identity.queues),
                identity.concurrency,
                identity.release,
            ],
        )
    return worker_id


def _is_alive(other: JobWorker, identity: Identity) -> bool:
    # A pid proves something only where it was given: another container may bear our host's name.
    if other.birthmark and other.birthmark == identity.birthmark:
        return False  # this process before it started itself anew
    if birthmark.is_gone(other.birthmark, other.pid):
        return False
    # A heartbeat of a far future is from before the database's clock was set back: who lives has
    # beaten since, or is about to.
    lease = "make_interval(secs => %s)"
    lease_seconds = conf.current().lease.total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT heartbeat_at > {clock.WALL} - {lease} "
            f"AND (heartbeat_at < {clock.WALL} + {lease} OR %s) "
            "FROM job_workers WHERE id = %s",
            [
                lease_seconds,
                lease_seconds,
                birthmark.is_alive(other.birthmark, other.pid),
                other.id,
            ],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def beat(worker_id: UUID, runners: list[dict[str, Any]]) -> bool:
    """Renew the worker's heartbeat; False when it has been declared dead, which it stays."""
    with connection.cursor() as cursor:
        # Where the row is locked it waits in line, before the leader that finds it silent.
        cursor.execute(
            f"""
            SET LOCAL lock_timeout = 0;
            UPDATE job_workers SET heartbeat_at = {clock.WALL}, runners = %s::jsonb
            WHERE id = %s AND dead_at IS NULL
            """,
            [json_values.dump(runners), worker_id],
        )
        return bool(cursor.rowcount)


def held(worker_id: UUID) -> list[Held]:
    """Return the rows that say this worker runs them; by `job_statuses_by_status`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, claim, cancel_requested_at IS NOT NULL FROM job_statuses
            WHERE status = 'started' AND worker_id = %s
            """,
            [worker_id],
        )
        return [
            Held(job_id=job_id, claim=claim, is_cancel_requested=asked)
            for job_id, claim, asked in cursor.fetchall()
        ]


def close(worker_id: UUID) -> None:
    """Record the worker's orderly end."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE job_workers SET stopped_at = {clock.WALL}, runners = '[]' WHERE id = %s",
            [worker_id],
        )


def terminate_backends(application_name: str) -> None:
    """End what a killed runner still executes in PostgreSQL; it can't cancel it itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [application_name],
        )
