"""The lane: a runner's event loop, in a thread of its own, and the async attempts on it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from jobs import conf
from jobs.models import JobStatus
from jobs.runner.lane.async_attempt import AsyncAttempt
from jobs.runner.lane.grip import Grip, Held
from jobs.runner.lane.hands import Hands, Seat, SpareHands
from jobs.runner.lane.scribe import Scribe
from jobs.runner.lane.steps import Loop
from jobs.runner.watch import Reason

logger = logging.getLogger("jobs.worker")

SLOW_SECONDS = 1.0  # a step that takes longer is named in the log
_OUR_FILES = str(Path(__file__).parent.parent)  # the runner's


class Lane:
    """Runs up to `slots` async attempts at once; the main thread stays free for sync jobs.

    Args:
        slots: How many.
        grip: Where each step says whose it is.
        ended: Called, in a thread of the lane's, with each attempt that is over and to be settled.
    """

    def __init__(self, *, slots: int, grip: Grip, ended: Callable[[AsyncAttempt], None]) -> None:
        self.slots = slots
        self._grip = grip
        self._ended = ended
        self._lock = threading.Lock()
        self._attempts: dict[tuple[UUID, int], AsyncAttempt] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # made with the first attempt
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._is_closing = False
        self._said_since = 0.0  # of the slow step that was named last
        self._hands = Hands(conf.current().async_threads)
        self._spare_hands = SpareHands(thread_name_prefix="spare-hand")
        self._scribe = Scribe(lambda attempt: self._stop(attempt, Reason.CANCEL))

    @property
    def free(self) -> int:
        """How many more may begin."""
        return max(0, self.slots - len(self._attempts))

    @property
    def attempts(self) -> list[AsyncAttempt]:
        """Those that haven't ended."""
        with self._lock:
            return list(self._attempts.values())

    def begin(self, job: JobStatus) -> AsyncAttempt:
        """Begin the attempt that `start` made; from any thread."""
        loop = self._loop or self._start()
        attempt = AsyncAttempt(
            job,
            grip=self._grip,
            seat=Seat(self._hands),
            note=self._scribe.note,
            ended=self._end,
        )
        with self._lock:
            self._attempts[job.id, job.claim] = attempt
        # A context of its own: what one job sets, no other sees.
        loop.call_soon_threadsafe(attempt.begin, loop, context=contextvars.Context())
        return attempt

    def stop(self, reason: Reason, *, job_id: UUID, claim: int) -> None:
        """Tell the attempt with this claim to stop; from any thread. One that is over is not."""
        with self._lock:
            attempt = self._attempts.get((job_id, claim))
        if attempt is not None:
            self._stop(attempt, reason)

    def press(self) -> None:
        """Cancel the SQL of attempts that should have stopped; again and again, from any thread."""
        for attempt in self.attempts:
            attempt.press_calls()

    def look(self) -> Held | None:
        """Return the step that holds the loop for long, and say where, once; in another thread."""
        held = self._grip.held()
        if held is None or time.monotonic() - held.since < SLOW_SECONDS:
            return None
        if held.since != self._said_since:
            self._said_since = held.since
            logger.warning(
                "%s holds the event loop for more than %g s, and all async jobs of its runner "
                "wait: %s",
                f"Job {held.job_id}" if held.job_id else "A callback, it isn't known of which job,",
                SLOW_SECONDS,
                self._where(),
                extra={"job_id": str(held.job_id)} if held.job_id else {},
            )
        return held

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented
        stack = traceback.extract_stack(frame)
        ours = [at for at, one in enumerate(stack) if one.filename.startswith(_OUR_FILES)]
        first = stack[min(max(ours, default=-1) + 1, len(stack) - 1)]
        return f"{first.filename}, line {first.lineno}, in {first.name}"

    def close(self) -> None:
        """End the threads; when no attempt is left."""
        self._scribe.close()
        self._hands.close()
        self._spare_hands.shutdown()
        if self._loop is not None:
            self._is_closing = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _stop(self, attempt: AsyncAttempt, reason: Reason) -> None:
        assert self._loop is not None  # noqa: S101 - it has begun there
        self._loop.call_soon_threadsafe(attempt.stop, reason, context=contextvars.Context())

    def _end(self, attempt: AsyncAttempt) -> None:
        self._scribe.end(attempt, then=lambda: self._leave(attempt))

    def _leave(self, attempt: AsyncAttempt) -> None:
        self._ended(attempt)
        with self._lock:
            del self._attempts[attempt.job.id, attempt.job.claim]

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = Loop(self._grip)
                self._loop.set_default_executor(self._spare_hands)
                self._thread.start()
            return self._loop

    def _run(self) -> None:
        assert self._loop is not None  # noqa: S101 - made before the thread
        asyncio.set_event_loop(self._loop)
        try:
            while not self._is_closing:
                # A task of a job's raises these through the loop, and into whoever awaits it.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    self._loop.run_forever()
            self._loop.close()
        finally:
            if not self._is_closing:
                # A job has closed the loop's own files, say. The supervisor settles what ran here.
                logger.critical("The event loop broke, its runner ends: %s", sys.exc_info()[1])
                os._exit(1)
