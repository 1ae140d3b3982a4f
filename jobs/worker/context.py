"""What a running job may ask and say: who it is, and how far it is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs import conf, json_values, registry
from jobs.errors import JobCancelled
from jobs.models import JobStatus, clock
from jobs.processes import connection as connections
from jobs.worker.watch import Watch

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
        if self._wrapper is None:
            self._wrapper = self._open()
        try:
            with self._wrapper.cursor() as cursor:
                cursor.execute(
                    f"UPDATE job_statuses SET progress = %s::jsonb, updated_at = {clock.NOW} "
                    "WHERE id = %s AND claim = %s AND status = 'started' "
                    "RETURNING cancel_requested_at IS NOT NULL",
                    [json_values.dump(progress), job.id, job.claim],
                )
                row = cursor.fetchone()
        except (DatabaseError, InterfaceError):
            # The row is locked, or the connection broke: the next progress tries again.
            self.close()
            return False
        return None if row is None else bool(row[0])

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


class Context(ABC):
    """The running attempt, as `BaseJob` sees it."""

    def __init__(self, job: JobStatus) -> None:
        self._job = job
        self._secrets = registry.secrets(job.job_class, job.params)

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

    @abstractmethod
    def progress(self, done: int, total: int | None, message: str) -> None:
        """Record how far the job is; written at most every JOBS["PROGRESS_INTERVAL"].

        Raises:
            JobCancelled: A cancel has been asked for, or the attempt was lost to another worker.
        """

    def _said(self, done: int, total: int | None, message: str) -> Progress:
        said = json_values.scrubbed(str(message), self._secrets)
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
