"""What a running job may ask and say: who it is, how far it is, whether it should stop."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Context(Protocol):
    """The running attempt, as `BaseJob` sees it."""

    @property
    def job_id(self) -> UUID:
        """The job's id."""

    @property
    def attempt(self) -> int:
        """The running attempt, counted from 1."""

    @property
    def max_attempts(self) -> int:
        """How many attempts the job has."""

    @property
    def logical_time(self) -> datetime | None:
        """The moment the job's tick stands for; None for a job that no schedule made."""

    def progress(self, done: int, total: int | None, message: str) -> None:
        """Record how far the job is; written at most every JOBS["PROGRESS_INTERVAL"]."""
