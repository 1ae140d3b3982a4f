"""The runner's watch over its attempt: timeout, cancel and interruption reach the job's code."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed lacks it
import contextlib
import signal
import threading
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import psycopg2
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE

from jobs.errors import JobCancelled, JobInterrupted, JobTimeout

# A job may lose the exception (a bare except, a __del__): it is raised again so often.
REPEAT_SECONDS = 0.5
# A shorter timeout sets its own alarm; for a longer one somebody calls when the job is so old.
ALARM_AFTER_SECONDS = 0.2

# Asked for each job: the signal module makes an enum of every answer, at up to 50 times the cost.
_handler_of = _signal.getsignal
_sigmask = _signal.pthread_sigmask
_ALARM_ONLY = frozenset({signal.SIGALRM})


class Reason(StrEnum):
    """Why the job is told to stop."""

    TIMEOUT = "timeout"
    CANCEL = "cancel"
    INTERRUPT = "interrupt"


_ERRORS: dict[Reason, type[BaseException]] = {
    Reason.TIMEOUT: JobTimeout,
    Reason.CANCEL: JobCancelled,
    Reason.INTERRUPT: JobInterrupted,
}


class Watch:
    """One for each runner. `arm` and `disarm` belong to the main thread, the rest to the guard's.

    An exception is raised in the main thread, by SIGALRM's handler, and only between `arm` and
    `disarm`: while the job's own code is on the stack.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed = False
        self._attempt: tuple[UUID, int] | None = None  # job id, claim
        self._deadline = 0.0  # time.monotonic()
        self._reason: Reason | None = None
        self._connections: Sequence[BaseDatabaseWrapper] = ()
        self._is_alarm_set = False
        self._is_alarm_wanted = False  # by whoever called before the attempt was armed
        # What the runner does at a signal; a job may do otherwise, the next one is not to feel it.
        self._handlers = [
            (number, handler)
            for number in (signal.SIGTERM, signal.SIGINT)
            if (handler := _handler_of(number)) is not None
        ]
        self._alarm = self._on_alarm  # one object: a method is a new one each time it is asked for
        self._main = threading.main_thread().ident or 0

    @property
    def reason(self) -> Reason | None:
        """Why the last attempt was told to stop, whatever became of the exception."""
        return self._reason

    @property
    def is_armed(self) -> bool:
        """Whether the job's own code is on the stack."""
        return self._armed

    def arm(
        self,
        job_id: UUID,
        claim: int,
        *,
        timeout_seconds: float,
        connections: Sequence[BaseDatabaseWrapper],
    ) -> None:
        """Begin to watch this attempt.

        Args:
            job_id: Of the job.
            claim: Commands that name another attempt are ignored.
            timeout_seconds: After so long JobTimeout is raised, again and again.
            connections: The job's; a statement that runs on one of them is cancelled.
        """
        with self._lock:
            self._attempt, self._reason = (job_id, claim), None
            self._connections = connections
            self._deadline = time.monotonic() + timeout_seconds
            self._armed = True
            is_wanted, self._is_alarm_wanted = self._is_alarm_wanted, False
        # Each time anew: the job before, or rq's timeout of a plain one, may have used the alarm.
        if _handler_of(signal.SIGALRM) is not self._alarm:
            signal.signal(signal.SIGALRM, self._alarm)
        _sigmask(signal.SIG_UNBLOCK, _ALARM_ONLY)
        if is_wanted or timeout_seconds < ALARM_AFTER_SECONDS:
            self.set_alarm()

    def set_alarm(self) -> None:
        """Have the alarm strike at the deadline; from any thread.

        One of the job's own is left to it: then the guard's strokes have to do. A job that is over
        sooner than anybody can call this needs none, and spares two system calls. Where the job
        keeps this process's other threads from running, it keeps the alarm's handler from running
        as well.
        """
        with self._lock:
            # The clerk may come between a job's beginning and `arm`.
            self._is_alarm_wanted = not self._armed
            if self._armed and not signal.getitimer(signal.ITIMER_REAL)[0]:
                self._is_alarm_set = True
                seconds = max(1e-6, self._deadline - time.monotonic())
                signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)

    def disarm(self) -> None:
        """End the watch; may be called twice, since the alarm can strike within the first call."""
        self._armed = False
        with self._lock:  # no statement of ours is cancelled after this
            self._connections = ()
            is_the_jobs = _handler_of(signal.SIGALRM) is not self._alarm
            if self._is_alarm_set or is_the_jobs:
                self._is_alarm_set = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            if is_the_jobs:
                signal.signal(signal.SIGALRM, self._alarm)
        for number, handler in self._handlers:
            if _handler_of(number) is not handler:
                signal.signal(number, handler)

    def stop(self, reason: Reason, *, job_id: str, claim: int) -> None:
        """Tell this attempt to stop; from the guard's thread."""
        with self._lock:
            if not self._armed or self._attempt is None or self._reason is not None:
                return
            if (str(self._attempt[0]), self._attempt[1]) != (job_id, claim):
                return  # it has moved on; that of a plain rq job may have any id
            self._reason = reason
        self.press()

    def obey_cancel(self) -> None:
        """Note that the job itself has just learnt of its cancel; in the main thread."""
        self._reason = self._reason or Reason.CANCEL

    def press(self) -> None:
        """Interrupt what the job does, if it should have stopped: its code and its SQL."""
        with self._lock:
            if not self._armed:
                return
            if self._reason is None and time.monotonic() < self._deadline:
                return
            for wrapper in self._connections:
                cancel_statement(wrapper.connection)
            signal.pthread_kill(self._main, signal.SIGALRM)

    def _on_alarm(self, _number: int, _frame: object) -> None:
        if not self._armed:
            return
        if self._reason is None:
            if time.monotonic() < self._deadline:
                return  # a late signal that was meant for the attempt before
            self._reason = Reason.TIMEOUT
        raise _ERRORS[self._reason]


def cancel_statement(raw: Any) -> None:
    """Cancel what psycopg2's connection executes, if anything; from another thread than its own."""
    # psycopg2 sits a statement out, whatever signal arrives; another thread may cancel it.
    if raw is not None and not raw.closed:
        with contextlib.suppress(psycopg2.Error):
            if raw.info.transaction_status == TRANSACTION_STATUS_ACTIVE:
                raw.cancel()
