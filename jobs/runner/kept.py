"""Ended attempts whose rows somebody holds: kept by the runner until they can be recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from jobs.runner.orders import SAID_AT_ONCE, described
from jobs.runner.run import Ran

# How often they are tried again.
AGAIN_SECONDS = 0.25
# As long as their row is held they are over, and nothing of theirs can be late.
_NEVER_SECONDS = timedelta(days=3_650).total_seconds()


class Kept:
    """One for all threads of a runner; the clerk tries again.

    The supervisor sees them beside the batch, as it sees async attempts: else it would take them
    for jobs that nobody runs, and settle them as lost.

    Args:
        say: Tells the supervisor.
    """

    def __init__(self, say: Callable[..., None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._rans: list[Ran] = []
        self.bell = threading.Event()  # the clerk's

    def __bool__(self) -> bool:
        return bool(self._rans)

    @property
    def ids(self) -> frozenset[str]:
        """Of their jobs."""
        return frozenset(str(ran.job.id) for ran in list(self._rans))

    @property
    def rans(self) -> list[Ran]:
        """The attempts."""
        return list(self._rans)

    def keep(self, rans: Sequence[Ran]) -> None:
        """Keep these; from any thread."""
        with self._lock:
            new = [ran for ran in rans if ran not in self._rans]
            self._rans += new
        if new:
            over = {"timeout_seconds": _NEVER_SECONDS, "is_over": True}
            jobs = [{**described(ran.job), **over} for ran in new]
            for at in range(0, len(jobs), SAID_AT_ONCE):
                self._say(say="entered", jobs=jobs[at : at + SAID_AT_ONCE])
            self.bell.set()

    def let_go(self, rans: Sequence[Ran]) -> None:
        """Forget these: their rows say how they ended, or have moved on."""
        with self._lock:
            self._rans = [ran for ran in self._rans if ran not in rans]
        ids = [str(ran.job.id) for ran in rans]
        for at in range(0, len(ids), SAID_AT_ONCE):
            self._say(say="left", ids=ids[at : at + SAID_AT_ONCE])
