"""The jobs a runner has started and not yet settled: who may begin the next, who has the done."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from jobs.models import JobStatus
from jobs.runner.board import Board
from jobs.runner.orders import attempt_of
from jobs.runner.run import Ran

# For so long at most nothing is claimed while the supervisor gives back what stood before it.
RETURN_SECONDS = 10.0


class Batch:
    """One batch, of which the first job has begun.

    `begin` and `finish` belong to the runner's main thread, the rest to anybody.

    Args:
        jobs: Started by `lifecycle.start`, in the order in which they run; at least one.
        board: The runner's; the supervisor looks at it and may take away what hasn't begun.
        memory_mark: As for `begin`, of the first job.
    """

    def __init__(self, jobs: Sequence[JobStatus], *, board: Board, memory_mark: int) -> None:
        self.jobs = jobs
        self.opened_at = time.monotonic()
        # Held by the clerk while it settles and tells: what comes after must come after that.
        self.attending = threading.Lock()
        self.is_attended = False  # set by the clerk once all of that is done
        self._board = board
        self._lock = threading.Lock()
        self._begun = 1
        self._running: JobStatus | None = jobs[0]
        self._done: list[Ran] = []
        self._has_clerk_taken = False
        attempts = [attempt_of(job) for job in jobs]
        self._serial = board.open_batch(attempts, memory_mark=memory_mark)

    @property
    def begun(self) -> int:
        """How many of its jobs have begun."""
        return self._begun

    @property
    def running(self) -> JobStatus | None:
        """The job whose own code runs."""
        return self._running

    def begin(self, memory_mark: int) -> JobStatus | None:
        """Return the next job, which begins; None when none is left or it was taken away."""
        if self._begun == len(self.jobs):
            return None
        with self._lock:
            if not self._board.begin(memory_mark):
                return None
            self._running = self.jobs[self._begun]
            self._begun += 1
            return self._running

    def finish(self, ran: Ran) -> None:
        """Note how the running job ended."""
        with self._lock:
            self._board.finish()
            self._running = None
            self._done.append(ran)

    def await_clerk(self) -> None:
        """Return once the clerk, if it is at it, has given back and settled its part."""
        with self.attending:
            return

    def await_harvest(self) -> list[Ran]:
        """Take what is done once the clerk, if it is at it, has settled and told its part."""
        with self.attending:
            return self.harvest()

    @property
    def awaits_return(self) -> bool:
        """Whether the supervisor is giving back what it has taken away."""
        return not self._has_clerk_taken and self._board.awaits_return(self._serial)

    def await_return(self) -> None:
        """Return once what was taken away is given back, or that takes too long."""
        until = time.monotonic() + RETURN_SECONDS
        while self.awaits_return and time.monotonic() < until:
            time.sleep(0.001)  # the supervisor's word comes by the board

    def harvest(self) -> list[Ran]:
        """Take what is done; whoever takes it settles it."""
        with self._lock:
            done, self._done = self._done, []
            return done

    def keep(self, rans: Sequence[Ran]) -> None:
        """Put back what was harvested and couldn't be settled."""
        with self._lock:
            self._done[:0] = rans

    def take_rest(self) -> list[JobStatus]:
        """Take away what hasn't begun; the clerk gives it back, and then says so."""
        with self._lock:
            rest = self._board.take_rest(self._serial, may_wait=True) or range(0)
            self._has_clerk_taken = len(rest) > 0
            return [self.jobs[place] for place in rest]

    def note_return(self) -> None:
        """Note that what the clerk has taken away is given back."""
        self._board.note_return(self._serial, by_clerk=True)
