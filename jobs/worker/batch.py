"""The jobs a runner has started and not yet settled: who may begin the next, who has the done."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from jobs.models import JobStatus
from jobs.worker.board import Board
from jobs.worker.run import Ran


class Batch:
    """One batch. `begin` and `finish` belong to the runner's main thread, the rest to anybody.

    Args:
        jobs: Started by `lifecycle.start`, in the order in which they run.
        board: The runner's; the supervisor looks at it and may take away what hasn't begun.
        serial: Of the batch.
    """

    def __init__(self, jobs: Sequence[JobStatus], *, board: Board, serial: int) -> None:
        self.jobs = jobs
        self.opened_at = time.monotonic()
        # Held by the clerk while it settles and tells: what comes after must come after that.
        self.attending = threading.Lock()
        self.is_attended = False  # set by the clerk once all of that is done
        self._board = board
        self._serial = serial
        self._lock = threading.Lock()
        self._begun = 0
        self._running: JobStatus | None = None
        self._done: list[Ran] = []
        board.open_batch(serial, len(jobs))

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
        """Take away what hasn't begun; whoever takes it gives it back."""
        with self._lock:
            rest = self._board.take_rest(self._serial, may_wait=True) or range(0)
            return [self.jobs[place] for place in rest]
