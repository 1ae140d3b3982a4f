"""An attempt without a worker: the context that its job sees, with ears for its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs import registry
from jobs.models import JobStatus
from jobs.runner.context import Context


class Listening(Context):
    """Hears what the job says of its progress, and keeps it."""

    def __init__(self, job: JobStatus, hear: Callable[[], object] = lambda: None) -> None:
        super().__init__(job)
        self.said: list[tuple[int, int | None, str]] = []
        self._hear = hear

    def progress(self, done: int, total: int | None, message: str) -> None:
        self.said.append((done, total, message))
        self._hear()


def run(job: JobStatus, context: Context | None = None) -> Any:
    """Perform a started job in this process; return what it returns."""
    return registry.get(job.job_class).perform(job.params, context or Listening(job))
