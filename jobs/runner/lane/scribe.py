"""Writes what async attempts say of their progress: in a thread of its own, many in a statement."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jobs import conf
from jobs.runner.context import Progress, Side

if TYPE_CHECKING:
    from jobs.runner.lane.async_attempt import AsyncAttempt


class _Word(NamedTuple):
    attempt: AsyncAttempt
    progress: Progress
    then: Callable[[], None] | None  # where it was the attempt's last


class Scribe:
    """Keeps the last word of each attempt until it is due; the event loop never waits for it.

    Args:
        stop: Called, in the scribe's thread, with an attempt whose cancel has been asked for, or
            that is no longer its job's.
    """

    def __init__(self, stop: Callable[[AsyncAttempt], None]) -> None:
        self._stop = stop
        self._news = threading.Condition()
        self._unwritten: dict[AsyncAttempt, Progress] = {}
        self._due_at: dict[AsyncAttempt, float] = {}  # time.monotonic(): when it may be written
        self._ends: dict[AsyncAttempt, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def note(self, attempt: AsyncAttempt, progress: Progress) -> None:
        """Take down how far the attempt is; from any thread."""
        with self._news:
            self._unwritten[attempt] = progress
            self._due_at.setdefault(attempt, 0.0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
                self._thread.start()
            self._news.notify()

    def end(self, attempt: AsyncAttempt, then: Callable[[], None]) -> None:
        """Call `then` once all that the attempt has said is written: at once, or in our thread."""
        with self._news:
            if attempt in self._unwritten:
                self._due_at[attempt] = 0.0
                self._ends[attempt] = then
                self._news.notify()
                return
            self._due_at.pop(attempt, None)
        then()

    def close(self) -> None:
        """End the thread, once nothing is left to write."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        side = Side()
        while due := self._wait():
            gone = side.write_all(
                {(word.attempt.job.id, word.attempt.job.claim): word.progress for word in due}
            )
            for word in due:
                if word.then is not None:
                    word.then()
                elif word.attempt.job.id in gone:
                    self._stop(word.attempt)
        side.close()

    def _wait(self) -> list[_Word]:
        """Return what is due, as soon as something is; nothing at the end."""
        with self._news:
            while not (due := self._take_due()) and not self._is_closing:
                self._news.wait(self._seconds_to_next())
            return due

    def _seconds_to_next(self) -> float | None:
        waiting = [self._due_at[attempt] for attempt in self._unwritten]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _take_due(self) -> list[_Word]:
        now = time.monotonic()
        interval = conf.current().progress_interval.total_seconds()
        due = []
        for attempt in [one for one in self._unwritten if self._due_at[one] <= now]:
            # Taken together: an end that comes while this is written waits for what came with it.
            then = self._ends.pop(attempt, None)
            due.append(_Word(attempt, self._unwritten.pop(attempt), then))
            if then is None:
                self._due_at[attempt] = now + interval
            else:
                del self._due_at[attempt]
        return due
