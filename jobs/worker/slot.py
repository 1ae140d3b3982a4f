"""One runner as its supervisor knows it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs import conf
from jobs.processes import channel
from jobs.worker import grip
from jobs.worker.aboard import Aboard, Overdue, Ride
from jobs.worker.board import Board, Seen
from jobs.worker.grip import Held
from jobs.worker.watch import Reason

# A runner whose end of the channel is closed is dead, and reported, within milliseconds.
CUT_OFF_SECONDS = 1.0
# A batch is broken up by its runner when it is 50 ms old. Where a job keeps the runner's threads
# from running the supervisor does it, a little later.
LOOK_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that the runner has started, as it said."""

    job_id: str
    claim: int  # 0: of a plain rq job
    job_class: str
    attempt: int
    timeout_seconds: float


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
    board: Board | None = None  # of this runner; None until it has sent it
    taken: tuple[str, ...] = ()  # entry ids it has claimed and not yet said to have started
    serial: int = 0  # of its batch, as the board has it
    batch: tuple[Attempt, ...] = ()  # not yet settled
    aboard: Aboard = field(default_factory=Aboard)  # its async attempts
    overdue: Overdue | None = None  # for the fault of this one of them it was killed
    look_at: float | None = None  # time.monotonic(): when to look at the board
    kill_at: float | None = None  # time.monotonic(): after this its group is killed
    cause: Reason | None = None  # why; None: it is cut off from us
    was_killed: bool = False  # by us, for that cause
    is_idle: bool = False  # found nothing since its last job
    granted: bool = False  # may claim one job (--max-jobs)

    @property
    def announced(self) -> tuple[str, ...]:
        """The entry ids that it has claimed, or started and not yet settled."""
        return (*(attempt.job_id for attempt in self.batch), *self.taken, *self.aboard.ids)

    @property
    def held(self) -> Held | None:
        """The step that holds its event loop, as it says itself."""
        return grip.read(self.board.grip) if self.board is not None else None

    @property
    def was_told(self) -> bool:
        """Whether it was killed for another's fault, its main thread's job being told to stop."""
        return self.overdue is not None and self.cause in {Reason.CANCEL, Reason.INTERRUPT}

    @property
    def count_running(self) -> int:
        """How many jobs' own code runs, or waits on the event loop."""
        return (self.running is not None) + len(self.aboard.rides)

    @property
    def seen(self) -> Seen | None:
        """What the board says of the batch; None where it speaks of another one, or there is none.

        The runner tells us of a batch before it opens it.
        """
        if self.board is None or not self.batch:
            return None
        seen = self.board.look()
        return seen if seen.serial == self.serial else None

    @property
    def running(self) -> Attempt | None:
        """The attempt whose own code runs."""
        seen = self.seen
        if seen is None or not seen.is_running:
            return None
        return self.batch[seen.begun - 1]

    def running_claims(self) -> list[tuple[str, int]]:
        """Return the job and the claim of each attempt that runs."""
        attempt = self.running
        main = [] if attempt is None else [(attempt.job_id, attempt.claim)]
        return main + [(job_id, ride.job["claim"]) for job_id, ride in self.aboard.rides.items()]

    @property
    def is_unreported(self) -> bool:
        """Whether it has ended, or must, and the mother has not yet said how it did."""
        return self.pid is not None and self.end is None

    @property
    def owes_a_word_since(self) -> float | None:
        """Since when it should say again that it lives, by time.monotonic().

        None while a job's own code is in its way, or it is cut off already.
        """
        if self.end is None or self.running is not None:
            return None
        seen = self.seen
        return max(self.heard_at, seen.done_at if seen else 0.0)

    def place(self, pid: int, end: socket.socket) -> None:
        """Put a fresh runner here."""
        end.settimeout(0)
        self.pid, self.end = pid, end
        self.forked_at = self.heard_at = time.monotonic()
        self.clear_all()

    def show_board(self, fd: int) -> None:
        """Take the runner's board."""
        self._drop_board()
        self.board = Board(fd)

    def empty(self) -> None:
        """Take the dead runner out."""
        self.hang_up()
        self.pid = None
        self.clear_all()
        self._drop_board()

    def clear_all(self) -> None:
        """Forget all its jobs: the runner is gone, or to go."""
        self.clear()
        self.aboard.clear()
        self.overdue = None

    def clear(self) -> None:
        """Forget the jobs of its main thread: they have ended."""
        self.taken, self.batch = (), ()
        self.look_at, self.kill_at, self.cause = None, None, None
        self.was_killed = self.is_idle = False

    def claim(self, entry_ids: tuple[str, ...]) -> None:
        """Note what it has claimed; from now on it has something to lose."""
        self.taken, self.is_idle, self.granted = entry_ids, False, False
        self.kill_at = None

    def begin(self, message: channel.Message) -> None:
        """Note the batch it has started; what the one before has done is settled."""
        self.clear()
        self.serial = message["serial"]
        self.batch = tuple(Attempt(**attempt) for attempt in message["jobs"])
        self.look_at = time.monotonic() + LOOK_SECONDS

    def look(self) -> tuple[Attempt, ...]:
        """Break up the batch, which is old: take what hasn't begun, mind the timeout of what has.

        Returns:
            What was taken, and never begins; whoever called gives it back.
        """
        self.look_at = None
        if self.board is None or not self.batch:
            return ()
        rest = self.board.take_rest(self.serial, may_wait=False)
        seen = self.seen
        if rest is None or seen is None:
            # The runner is at it this moment, or has not yet opened the batch.
            self.look_at = time.monotonic() + LOOK_AGAIN_SECONDS
            return ()
        taken = tuple(self.batch[place] for place in rest)
        self.batch = self.batch[: seen.begun]
        if seen.is_running and self.kill_at is None:
            late = conf.current().kill_after.total_seconds()
            self.kill_at = seen.began_at + self.batch[-1].timeout_seconds + late
            self.cause = Reason.TIMEOUT
        return taken

    def has(self, job_id: str, claim: int | None) -> bool:
        """Whether this attempt is in its batch; any of the job's where `claim` is None."""
        return any(
            attempt.job_id == job_id and claim in {None, attempt.claim} for attempt in self.batch
        )

    def stop(self, reason: Reason) -> None:
        """Tell its running job to stop, and kill it when it doesn't in time."""
        attempt = self.running
        if attempt is None:
            return
        self.say(say="stop", reason=str(reason), job_id=attempt.job_id, claim=attempt.claim)
        late = conf.current().kill_after.total_seconds()
        self.kill_at, self.cause = time.monotonic() + late, reason

    def cancel_ride(self, job_id: str, claim: int | None) -> None:
        """Tell an async attempt of this job to stop, if it is that claim's; None: whichever."""
        ride = self.aboard.rides.get(job_id)
        if ride is not None and claim in {None, ride.job["claim"]}:
            self.stop_ride(ride, Reason.CANCEL)

    def stop_ride(self, ride: Ride, reason: Reason) -> None:
        """Tell one of its async attempts to stop."""
        message = self.aboard.stop(ride, reason)
        if message is not None:
            self.say(**message)

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
        if self.kill_at is None or time.monotonic() < self.kill_at:
            return
        if self.cause in {Reason.TIMEOUT, Reason.CANCEL} and self.running is None:
            self.kill_at = None  # the job's own code has returned: its end is being recorded
            return
        self.was_killed, self.kill_at = True, None
        self.kill()

    def kill_for_ride_if_due(self) -> None:
        """Kill the runner if the time of one on its event loop is over."""
        if self.end is not None and self.overdue is None:
            self.overdue = self.aboard.overdue(self.held) if self.aboard else None
            if self.overdue is not None:
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
        attempt, seen = self.running, self.seen
        shown = {"pid": self.pid, **self.aboard.describe()}
        if attempt is None or seen is None:
            # Of short jobs most of the time goes into the commits between them.
            count = len(self.batch) + len(self.taken)
            return {**shown, "batch": count} if count else shown
        ago = timedelta(seconds=time.monotonic() - seen.began_at)
        return {
            **shown,
            "job_id": attempt.job_id,
            "claim": attempt.claim,
            "job_class": attempt.job_class,
            "attempt": attempt.attempt,
            "started_at": (datetime.now(UTC) - ago).isoformat(timespec="milliseconds"),
        }

    def _drop_board(self) -> None:
        if self.board is not None:
            self.board.close()
        self.board = None
