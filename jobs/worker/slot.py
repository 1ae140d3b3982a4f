"""One runner as its supervisor knows it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs import conf
from jobs.processes import channel
from jobs.worker.watch import Reason

# A runner whose end of the channel is closed is dead, and reported, within milliseconds.
CUT_OFF_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Slot:
    """A place for a runner; the runner in it changes, the place stays."""

    index: int
    pid: int | None = None
    end: socket.socket | None = None
    forked_at: float = 0.0  # time.monotonic()
    fork_at: float | None = 0.0  # when to ask for the next runner; None: one is here or on its way
    heard_at: float = 0.0  # time.monotonic(): when it last said something
    hung_up_at: float = 0.0  # time.monotonic()
    failures: int = 0  # runners in a row that died young and idle
    announced: tuple[str, ...] = ()  # entry ids it has claimed
    job: dict[str, Any] | None = None  # the "started" message
    started_at: str = ""
    kill_at: float | None = None  # time.monotonic(): after this its group is killed
    cause: Reason | None = None  # why; None: it is cut off from us
    was_killed: bool = False  # by us, for that cause
    is_performed: bool = False  # its job's own code has returned; the end is still to be recorded
    is_idle: bool = False  # found nothing since its last job
    granted: bool = False  # may claim one job (--max-jobs)

    @property
    def is_unreported(self) -> bool:
        """Whether it has ended, or must, and the mother has not yet said how it did."""
        return self.pid is not None and self.end is None

    @property
    def owes_a_word(self) -> bool:
        """Whether it must say all the time that it lives: no job's own code is in its way."""
        return self.end is not None and (self.job is None or self.is_performed)

    def place(self, pid: int, end: socket.socket) -> None:
        """Put a fresh runner here."""
        end.settimeout(0)
        self.pid, self.end = pid, end
        self.forked_at = self.heard_at = time.monotonic()
        self.clear()

    def empty(self) -> None:
        """Take the dead runner out."""
        self.hang_up()
        self.pid = None
        self.clear()

    def clear(self) -> None:
        """Forget the job: it has ended."""
        self.announced, self.job, self.kill_at, self.cause = (), None, None, None
        self.was_killed = self.is_idle = self.is_performed = False

    def claim(self, entry_ids: tuple[str, ...]) -> None:
        """Note what it has claimed; from now on it has something to lose."""
        self.announced, self.is_idle, self.granted = entry_ids, False, False
        self.kill_at = None

    def begin(self, message: channel.Message) -> None:
        """Note the attempt that has begun, and when it must be over."""
        self.job = message
        self.started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        late = conf.current().kill_after.total_seconds()
        self.kill_at = time.monotonic() + message["timeout_seconds"] + late
        self.cause = Reason.TIMEOUT

    def finish(self) -> None:
        """Note that the job's own code has returned: no timeout or cancel concerns it any more."""
        self.is_performed = True
        if self.cause is not Reason.INTERRUPT:
            self.kill_at = None

    def stop(self, reason: Reason) -> None:
        """Tell its job to stop, and kill it when it doesn't in time."""
        if self.job is None or (self.is_performed and reason is Reason.CANCEL):
            return
        self.say(say="stop", reason=str(reason), claim=self.job["claim"])
        late = conf.current().kill_after.total_seconds()
        self.kill_at, self.cause = time.monotonic() + late, reason

    def say(self, **message: Any) -> None:
        """Send the runner a message; one that is dead doesn't mind."""
        if self.end is not None:
            channel.send(self.end, message)

    def hang_up(self) -> None:
        """Hear no more of the runner, and kill it unless it is dead.

        It lives where its job has closed every file, or has become another program.
        """
        if self.end is not None:
            self.end.close()
            self.hung_up_at = time.monotonic()
            if not self.was_killed:
                self.kill_at, self.cause = self.hung_up_at + CUT_OFF_SECONDS, None
        self.end = None

    def kill_if_due(self) -> None:
        """Kill the runner if its time is over."""
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.was_killed, self.kill_at = True, None
            self.kill()

    def cut_off(self) -> None:
        """Kill the runner: it can be heard no more."""
        self.was_killed, self.cause, self.kill_at = True, None, None
        self.kill()

    def kill(self) -> None:
        """Kill the runner and everything its job has started."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def describe(self) -> dict[str, Any]:
        """Return what the worker's row says of this runner."""
        if self.job is None:
            return {"pid": self.pid}
        return {
            "pid": self.pid,
            "job_id": self.job["job_id"],
            "claim": self.job["claim"],
            "job_class": self.job["job_class"],
            "attempt": self.job["attempt"],
            "started_at": self.started_at,
        }
