"""The event loop of async attempts: it knows whose each step is, and notes it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVarTuple, cast

from jobs.models import JobStatus
from jobs.runner.lane.grip import Grip
from jobs.runner.watch import Reason

if TYPE_CHECKING:
    from _typeshed import HasFileno

Ts = TypeVarTuple("Ts")


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

    def step(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call this as a step of the attempt."""
        before = self.grip.take(self.holder)
        try:
            return callback(*args)
        finally:
            self.grip.take(before)


# Whose code runs: set for an attempt's first task, inherited by every task that it makes.
current: ContextVar[Owner | None] = ContextVar("jobs.attempt", default=None)


class Loop(asyncio.SelectorEventLoop):
    """Calls what attempts have it call, now or later, as steps of theirs; their tasks among it.

    What comes to it by other ways, a protocol's methods say, is nobody's step. But the grip says
    that the loop doesn't wait, and since when.

    Args:
        grip: Of its runner.
    """

    def __init__(self, grip: Grip) -> None:
        super().__init__(_Selector(grip))
        self.set_task_factory(make_task)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As any loop's."""
        return super().call_soon(_owned(callback, context), *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As any loop's."""
        return super().call_soon_threadsafe(_owned(callback, context), *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As any loop's."""
        return super().call_at(when, _owned(callback, context), *args, context=context)

    def add_reader(self, fd: int | HasFileno, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """As any loop's."""
        super().add_reader(fd, _owned(callback, None), *args)

    def add_writer(self, fd: int | HasFileno, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """As any loop's."""
        super().add_writer(fd, _owned(callback, None), *args)


class _Selector(selectors.DefaultSelector):
    def __init__(self, grip: Grip) -> None:
        super().__init__()
        self._grip = grip

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._grip.rest()
        try:
            return super().select(timeout)
        finally:
            self._grip.turn()


def _owned(callback: Callable[[*Ts], Any], context: Context | None) -> Callable[[*Ts], Any]:
    owner = current.get() if context is None else context.get(current)
    if owner is None:
        return callback
    step: Any = partial(owner.step, callback)
    return cast("Callable[[*Ts], Any]", step)


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task for whoever's code runs; the loop's task factory."""
    owner = current.get()
    if owner is not None and options.get("context") is not None:
        options["context"].run(current.set, owner)
    task = asyncio.Task(coroutine, loop=loop, **options)
    if owner is None:
        return task
    owner.tasks.add(task)
    task.add_done_callback(owner.tasks.discard)
    return task
