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

from jobs.processes import channel
from jobs.runner.board import Board
from jobs.runner.lane import grip
from jobs.runner.lane.grip import Held
from jobs.runner.seen import NOTHING, Attempt, Seen
from jobs.runner.watch import Reason
from jobs.worker.aboard import Aboard, Overdue, Ride
from jobs.worker.doom import Doom, late

# A runner whose end of the channel is closed is dead, and reported, within milliseconds.
CUT_OFF_SECONDS = 1.0
# A batch is broken up by its runner when it is 50 ms old. Where a job keeps the runner's threads
# from running the supervisor does it, when the batch is so old.
OLD_SECONDS = 0.1


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
    aboard: Aboard = field(default_factory=Aboard)  # its async attempts
    aboard_at: float = 0.0  # time.monotonic(): when it last spoke of them
    overdue: Overdue | None = None  # for the fault of this one of them it was killed
    doom: Doom | None = None  # beside its job's timeout
    killed_for: Doom | None = None
    granted: bool = False  # may claim one job (--max-jobs)

    @property
    def seen(self) -> Seen:
        """What it holds."""
        return self.board.look() if self.board is not None else NOTHING

    @property
    def announced(self) -> tuple[str, ...]:
        """The entry ids that it has claimed, or started and not yet settled."""
        seen = self.seen
        return (*(attempt.job_id for attempt in seen.batch), *seen.taken, *self.aboard.ids)

    @property
    def is_idle(self) -> bool:
        """Whether it has found nothing since its last job."""
        seen = self.seen
        return seen.is_idle and seen.idle_at > self.aboard_at

    @property
    def held(self) -> Held | None:
        """The step that holds its event loop, as it says itself."""
        return grip.read(self.board.grip) if self.board is not None else None

    @property
    def count_running(self) -> int:
        """How many jobs' own code runs, or waits on the event loop."""
        return self.seen.is_running + len(self.aboard.rides)

    def running_claims(self) -> list[tuple[str, int]]:
        """Return the job and the claim of each attempt that runs."""
        attempt = self.seen.running
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
        seen = self.seen
        if self.end is None or seen.is_running:
            return None
        return max(self.heard_at, seen.worked_at, seen.idle_at, seen.done_at)

    @property
    def old_at(self) -> float | None:
        """When its batch is to be broken up, by time.monotonic(); None where it is."""
        seen = self.seen
        return seen.opened_at + OLD_SECONDS if seen.may_begin else None

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

    def clear_all(self) -> None:
        """Forget all its jobs: the runner is gone, or to go."""
        self._drop_board()
        self.aboard.clear()
        self.overdue = self.doom = self.killed_for = None

    def break_up(self) -> tuple[int, tuple[Attempt, ...]]:
        """Take away what hasn't begun of its batch, and never will.

        Returns:
            The batch's serial, and what was taken; whoever called gives it back.
        """
        seen = self.seen
        if self.board is None or not seen.may_begin:
            return seen.serial, ()
        # None: the runner lets one begin this moment, or was stopped there. We look again.
        rest = self.board.take_rest(seen.serial, may_wait=False) or range(0)
        return seen.serial, tuple(seen.batch[place] for place in rest)

    def note_return(self, pid: int | None, serial: int) -> None:
        """Note that what was taken of this batch has been given back, if it is this runner's."""
        if self.board is not None and self.pid == pid:
            self.board.note_return(serial)

    def has(self, job_id: str, claim: int | None) -> bool:
        """Whether this attempt is in its batch; any of the job's where `claim` is None."""
        return any(
            attempt.job_id == job_id and claim in {None, attempt.claim}
            for attempt in self.seen.batch
        )

    def stop(self, reason: Reason, *, job_id: str | None = None) -> None:
        """Tell its running job to stop, once, and kill it when it doesn't in time.

        Args:
            reason: Why.
            job_id: Only if it is this one.
        """
        attempt = self.seen.running
        if attempt is None or job_id not in {None, attempt.job_id}:
            return
        if self.doom is None or (self.doom.attempt, self.doom.cause) != (attempt, reason):
            self.say(say="stop", reason=str(reason), job_id=attempt.job_id, claim=attempt.claim)
            self.doom = Doom(at=late(), cause=reason, attempt=attempt)

    def interrupt(self) -> None:
        """Tell its main thread's job to stop, or end the runner where none runs."""
        if self.end is None:
            return  # to be killed already
        if self.seen.is_running:
            self.stop(Reason.INTERRUPT)
        elif not self.aboard and (self.doom is None or self.doom.idle_since is not None):
            self.doom = Doom(at=late(), cause=Reason.INTERRUPT)

    def end_if_idle(self, seconds: float) -> None:
        """Kill the runner in so many seconds, if it has nothing to lose, nor gets anything."""
        if self.end is not None and not self.announced:
            now = time.monotonic()
            self.doom = Doom(at=now + seconds, cause=Reason.INTERRUPT, idle_since=now)

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
            if self.killed_for is None:
                self.doom = Doom(at=self.hung_up_at + CUT_OFF_SECONDS)
        self.end = None

    def kill_if_due(self) -> None:
        """Kill the runner if its time is over."""
        doom = self._doom()
        if doom is not None and time.monotonic() >= doom.at and self.killed_for is None:
            self.killed_for = doom
            self.kill()

    def _doom(self) -> Doom | None:
        seen = self.seen
        if self.doom is not None and self.doom.is_void(seen):
            self.doom = None
        attempt = seen.running
        if self.doom is not None or attempt is None:
            return self.doom
        deadline = seen.began_at + attempt.timeout_seconds
        return Doom(at=late(deadline), cause=Reason.TIMEOUT, attempt=attempt)

    @property
    def kill_cause(self) -> Reason | None:
        """Why its main thread's job was stopped, where it was killed meanwhile, for whatever."""
        if self.killed_for is not None:
            return self.killed_for.cause
        # Else for an async job's fault, while this one was told to stop.
        return self.doom.cause if self.doom is not None and self.overdue is not None else None

    @property
    def was_cut_off(self) -> bool:
        """Whether it was killed since it could be heard no more."""
        return self.killed_for is not None and self.killed_for.cause is None

    def kill_for_ride_if_due(self) -> None:
        """Kill the runner if the time of one on its event loop is over."""
        if self.end is not None and self.overdue is None:
            self.overdue = self.aboard.overdue(self.held) if self.aboard else None
            if self.overdue is not None:
                self.kill()

    def cut_off(self) -> None:
        """Kill the runner: it can be heard no more."""
        self.killed_for = Doom(at=time.monotonic())
        self.kill()

    def kill(self) -> None:
        """Kill the runner and everything its job has started."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def describe(self) -> dict[str, Any]:
        """Return what the worker's row says of this runner."""
        seen = self.seen
        attempt = seen.running
        shown = {"pid": self.pid, **self.aboard.describe()}
        if attempt is None:
            # Of short jobs most of the time goes into the commits between them.
            count = len(seen.batch) + len(seen.taken)
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
