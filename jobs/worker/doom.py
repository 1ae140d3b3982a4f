"""When a runner must be killed, and what saves it from that."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobs import conf
from jobs.runner.seen import Attempt, Seen
from jobs.runner.watch import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Doom:
    """When a runner is to be killed, and why."""

    at: float  # time.monotonic()
    cause: Reason | None = None  # None: it is cut off from us
    attempt: Attempt | None = None  # the one that was told to stop, or is too old
    idle_since: float | None = None  # time.monotonic(); it is spared if it has worked since

    def is_void(self, seen: Seen) -> bool:
        """Whether it is spared."""
        if self.idle_since is not None:
            return seen.worked_at > self.idle_since
        if self.attempt is None or self.attempt == seen.running:
            return False
        # The job's own code has returned, and its end is being recorded, for which the grace leaves
        # no time: or another one runs.
        return seen.is_running or self.cause is not Reason.INTERRUPT


def late(deadline: float | None = None) -> float:
    """Return when whoever should have stopped by now, or by `deadline`, has had its time."""
    since = time.monotonic() if deadline is None else deadline
    return since + conf.current().kill_after.total_seconds()
