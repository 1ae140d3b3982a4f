"""The tasks of async attempts: each knows whose it is, and notes each of its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

from jobs.models import JobStatus
from jobs.worker.grip import Grip
from jobs.worker.watch import Reason


class Owner:
    """The attempt that tasks and calls belong to.

    Attributes:
        grip: Where its steps are noted, as those of `holder`.
        reason: Why it has been told to stop, whatever became of the exception.
        tasks: Those of its tasks that aren't done, the first one included.
        calls: What its sync code does in other threads at this moment, and what interrupts it.
    """

    def __init__(self, job: JobStatus, grip: Grip) -> None:
        self.grip = grip
        self.holder = (job.id.bytes, job.claim)
        self.reason: Reason | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.calls: dict[Future[Any], Callable[[], None]] = {}


# Whose code runs: set for an attempt's first task, inherited by every task that it makes.
current: ContextVar[Owner | None] = ContextVar("jobs.attempt", default=None)


class Steps(Coroutine[Any, Any, Any]):
    """A coroutine of an attempt; while one of its steps runs, the grip says so."""

    __slots__ = ("_coroutine", "_grip", "_holder")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], owner: Owner) -> None:
        self._coroutine = coroutine
        self._grip = owner.grip
        self._holder = owner.holder

    def send(self, value: Any) -> Any:
        """As a coroutine's."""
        before = self._grip.take(self._holder)
        try:
            return self._coroutine.send(value)
        finally:
            self._grip.take(before)

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        before = self._grip.take(self._holder)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._grip.take(before)

    def close(self) -> None:
        """As a coroutine's."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_code and their like: what a task's own stack is shown from.
        return getattr(self._coroutine, name)


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task for whoever's code runs; the loop's task factory."""
    owner = current.get()
    if owner is None or not asyncio.iscoroutine(coroutine):
        return asyncio.Task(coroutine, loop=loop, **options)
    task = asyncio.Task(Steps(coroutine, owner), loop=loop, **options)
    owner.tasks.add(task)
    task.add_done_callback(owner.tasks.discard)
    return task
