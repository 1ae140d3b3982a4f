"""What a running job may ask and say: who it is, and how far it is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs import conf, json_values, registry
from jobs.errors import JobCancelled
from jobs.lifecycle import checkpoint
from jobs.models import JobStatus, clock
from jobs.processes import connection as connections
from jobs.runner.watch import Watch
from jobs.workflows import results
from jobs.workflows.results import ParentResults

MAX_MESSAGE_BYTES = 500

Progress = dict[str, Any]


class Side:
    """The runner's second connection: seen by others while the job's transaction is open."""

    def __init__(self) -> None:
        self._wrapper: BaseDatabaseWrapper | None = None

    def write_progress(self, job: JobStatus, progress: Progress) -> bool | None:
        """Write the progress of the attempt that `job` began.

        Returns:
            Whether a cancel has been asked for; None when the attempt is no longer the job's.
        """
        rows = self._execute(
            f"UPDATE job_statuses SET progress = %s::jsonb, updated_at = {clock.NOW} "
            "WHERE id = %s AND claim = %s AND status = 'started' "
            "RETURNING cancel_requested_at IS NOT NULL",
            [json_values.dump(progress), job.id, job.claim],
        )
        if rows is None:
            return False
        return bool(rows[0][0]) if rows else None

    def write_all(self, progress_by_attempt: Mapping[tuple[UUID, int], Progress]) -> set[UUID]:
        """Write the progress of many attempts, each named by its job's id and its claim.

        A row that is locked is left out: its next progress tries again.

        Returns:
            The jobs whose cancel has been asked for, or that are no longer at that attempt.
        """
        said = [
            {"id": str(job_id), "claim": claim, "progress": progress}
            for (job_id, claim), progress in progress_by_attempt.items()
        ]
        rows = self._execute(_write_all(), [json_values.dump(said)]) or []
        return {job_id for (job_id,) in rows}

    def _execute(self, statement: str, values: list[Any]) -> list[Any] | None:
        if self._wrapper is None:
            self._wrapper = self._open()
        try:
            with self._wrapper.cursor() as cursor:
                cursor.execute(statement, values)
                rows: list[Any] = cursor.fetchall()
                return rows
        except (DatabaseError, InterfaceError):
            # The row is locked, or the connection broke: the next progress tries again.
            self.close()
            return None

    def close(self) -> None:
        """Close the connection, in whatever state it is."""
        if self._wrapper is not None:
            connections.discard(self._wrapper)
            self._wrapper = None

    @staticmethod
    def _open() -> BaseDatabaseWrapper:
        wrapper: BaseDatabaseWrapper = connection.copy("side")
        connections.configure(wrapper, lock_timeout=1000, statement_timeout=3000)
        return wrapper


def _write_all() -> str:
    # By primary key, locked in id order.
    return f"""
        WITH said AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%s::jsonb) AS s(id uuid, claim int, progress jsonb)),
        ours AS MATERIALIZED (
            SELECT j.id, said.progress FROM job_statuses j
            JOIN said ON said.id = j.id AND said.claim = j.claim
            WHERE j.status = 'started' ORDER BY j.id FOR UPDATE OF j SKIP LOCKED),
        written AS (
            UPDATE job_statuses j SET progress = ours.progress, updated_at = {clock.NOW}
            FROM ours WHERE j.id = ours.id)
        SELECT said.id FROM said LEFT JOIN job_statuses j
            ON j.id = said.id AND j.claim = said.claim AND j.status = 'started'
        WHERE j.id IS NULL OR j.cancel_requested_at IS NOT NULL
    """


class Context(ABC):
    """The running attempt, as `BaseJob` sees it."""

    def __init__(self, job: JobStatus) -> None:
        self._job = job

    @property
    def job(self) -> JobStatus:
        """The job, as the attempt began."""
        return self._job

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self._job.id

    @property
    def attempt(self) -> int:
        """The running attempt, counted from 1."""
        return self._job.attempt

    @property
    def logical_time(self) -> datetime | None:
        """The moment the job's tick stands for; None for a job that no schedule made."""
        return self._job.logical_time

    def last_checkpoint(self) -> Any:
        """Return the position recorded last, by this attempt or an earlier one; None: none was.

        Raises:
            StaleAttempt: The attempt was lost to another worker.
        """
        return checkpoint.take_over(self._job).position

    def checkpoint(self, position: Any) -> None:
        """Record the position, in the transaction of what the job wrote until there.

        Raises:
            InvalidCheckpoint: It is no JSON that PostgreSQL can hold, or too large.
            StaleAttempt: The attempt was lost to another worker.
        """
        checkpoint.record(self._job, position)

    def parent_results(self) -> ParentResults:
        """Read what the jobs that this one depends on have returned."""
        return results.read(self._job.id)

    @abstractmethod
    def progress(self, done: int, total: int | None, message: str) -> None:
        """Record how far the job is; written at most every JOBS["PROGRESS_INTERVAL"].

        Raises:
            JobCancelled: A cancel has been asked for, or the attempt was lost to another worker.
        """

    def _said(self, done: int, total: int | None, message: str) -> Progress:
        secrets = registry.secrets(self._job.job_class, self._job.params)
        said = json_values.scrubbed(str(message), secrets)
        return {
            "done": int(done),
            "total": None if total is None else int(total),
            "message": json_values.cleaned(said, limit_bytes=MAX_MESSAGE_BYTES),
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }


class MainContext(Context):
    """Of an attempt in the main thread, which may wait for what it says to be written."""

    def __init__(self, job: JobStatus, *, side: Side, watch: Watch) -> None:
        super().__init__(job)
        self._side = side
        self._watch = watch
        self._unwritten: Progress | None = None
        self._written_at = 0.0  # time.monotonic()

    def progress(self, done: int, total: int | None, message: str) -> None:
        """As `Context.progress`."""
        self._unwritten = self._said(done, total, message)
        interval = conf.current().progress_interval.total_seconds()
        if time.monotonic() - self._written_at >= interval:
            answer = self._write(self._unwritten)
            if answer is not False:
                self._watch.obey_cancel()
                raise JobCancelled

    def flush(self) -> None:
        """Write the last progress, which came too soon after the one before."""
        if self._unwritten is not None:
            self._write(self._unwritten)

    def _write(self, progress: Progress) -> bool | None:
        self._unwritten = None
        self._written_at = time.monotonic()
        return self._side.write_progress(self._job, progress)
