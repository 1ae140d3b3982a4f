"""One attempt of an async job on the event loop: its tasks, its deadline, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from jobs import registry
from jobs.errors import JobCancelled, JobTimeout
from jobs.lifecycle import verdict
from jobs.lifecycle.outcomes import Completed, Outcome, Settlement
from jobs.models import JobStatus
from jobs.runner import ending
from jobs.runner.context import Context
from jobs.runner.lane.grip import Grip
from jobs.runner.lane.hands import Seat
from jobs.runner.lane.steps import Owner, current
from jobs.runner.watch import REPEAT_SECONDS, Reason

logger = logging.getLogger("jobs.worker")


class AsyncAttempt(Owner):
    """Everything but `press` and `settlement` belongs to the loop's thread.

    Attributes:
        job: The job, as the attempt began.
        begun_at: When it was given to the loop, by time.monotonic().
        ended_at: When all that it had begun was over, likewise; before that None.
    """

    def __init__(
        self,
        job: JobStatus,
        *,
        grip: Grip,
        seat: Seat,
        note: Callable[[AsyncAttempt, dict[str, Any]], None],
        ended: Callable[[AsyncAttempt], None],
    ) -> None:
        super().__init__(job, grip)
        self.job = job
        self.begun_at = time.monotonic()
        self.ended_at: float | None = None
        self._seat = seat
        self._context = LoopContext(self, note=note)
        self._ended = ended
        self._first: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._result: Any = None
        # One that is told to stop before its first step never gets to say so itself.
        self._error: BaseException | None = asyncio.CancelledError()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in a context of its own."""
        seconds = verdict.timeout_of(self.job).total_seconds()
        self._timers.append(loop.call_later(seconds, self.stop, Reason.TIMEOUT))
        current.set(self)
        self._first = loop.create_task(self._perform())
        self._first.add_done_callback(self._tidy)

    async def _perform(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                # Never left: what the job leaves running may still need its thread while it ends.
                await stack.enter_async_context(ThreadSensitiveContext(executor=self._seat))
                stack.pop_all()
                spec = registry.get(self.job.job_class)
                self._result = await spec.perform(self.job.params, self._context)
                self._error = None
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - recorded: this is the loop's one bad item
            self._error = error

    def stop(self, reason: Reason) -> None:
        """Tell it to stop, again and again; the first reason stays."""
        if self.reason is None:
            self.reason = reason
            self._press(asyncio.get_running_loop())

    def _press(self, loop: asyncio.AbstractEventLoop) -> None:
        # The first task alone: it tells the others, in its own order. It may keep the exception to
        # itself, so again.
        if self._first is not None:
            self._first.cancel()
        self._timers.append(loop.call_later(REPEAT_SECONDS, self._press, loop))

    def press_calls(self) -> None:
        """Cancel the statements that its sync code waits for, if it should have stopped."""
        if self.reason is not None:
            for press in list(self.calls.values()):
                press()

    def _tidy(self, _first: asyncio.Task[None]) -> None:
        if self.tasks or self.calls:
            # Nobody's: else it would be one of the tasks it waits for.
            current.set(None)
            asyncio.get_running_loop().create_task(self._await_rest())
        else:
            self._end()

    async def _await_rest(self) -> None:
        if self.tasks and self.reason is None:
            names = ", ".join(sorted(task.get_name() for task in self.tasks))
            logger.warning(
                "Job %s ended with %d task(s) of its own still running, they are cancelled: %s",
                self.job.id,
                len(self.tasks),
                names[:500],
                extra={"job_id": str(self.job.id), "job_class": self.job.job_class},
            )
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        while self.tasks or self.calls:
            news.clear()
            for task in list(self.tasks):
                task.add_done_callback(lambda _: news.set())
                task.cancel()
            for future in list(self.calls):
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(news.set))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), REPEAT_SECONDS)
        self._end()

    def _end(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._seat.leave()
        self.ended_at = time.monotonic()
        self._ended(self)

    def settlement(self) -> Settlement:
        """Return what is to be recorded of its end; from any thread, and at leisure."""
        try:
            outcome: Outcome = self._completed()
        except BaseException as error:  # noqa: BLE001 - recorded: what the job raised, among others
            outcome = ending.of_error(self.job, error, self.reason)
        return Settlement(
            job_id=self.job.id,
            claim=self.job.claim,
            outcome=outcome,
            began_at=self.begun_at,
            ended_at=self.ended_at,
        )

    def _completed(self) -> Completed:
        if self._error is not None:
            raise self._error
        if self.reason is Reason.TIMEOUT:  # the job kept the exception to itself
            raise JobTimeout
        return ending.completed(self._result)


class LoopContext(Context):
    """Of an attempt on the event loop, which never waits for what it says to be written."""

    def __init__(
        self, attempt: AsyncAttempt, *, note: Callable[[AsyncAttempt, dict[str, Any]], None]
    ) -> None:
        super().__init__(attempt.job)
        self._attempt = attempt
        self._note = note

    def progress(self, done: int, total: int | None, message: str) -> None:
        """As `Context.progress`; the job may call it in any of its threads."""
        if self._attempt.reason is Reason.CANCEL:
            raise JobCancelled
        self._note(self._attempt, self._said(done, total, message))
