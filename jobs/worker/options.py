"""What `manage.py rqworker` was asked for, as far as its crew needs to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long a worker works."""

    burst: bool = False  # until the queues are empty and no runner holds a job
    max_jobs: int | None = None  # over all runners
    max_idle_seconds: float | None = None
    grace_seconds: float | None = None  # what a stop leaves running jobs; None: JOBS["GRACE"]
    async_slots: int | None = None  # of each runner; None: JOBS["ASYNC_SLOTS"]
    shown_seconds: int = 480  # Redis forgets a silent worker after so long
