"""How a worker stops: it claims nothing more, lets jobs finish, interrupts what outlasts that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from jobs import conf
from jobs.runner.watch import Reason
from jobs.worker.slot import Slot

logger = logging.getLogger("jobs.worker")

IDLE_SECONDS = 2.0  # an idle runner drains within so long, or is killed


class Stop:
    """The one stop of one worker; begins once, and ends when every runner has gone.

    Args:
        slots: The places of its runners.
        worker_name: For the log.
        break_up: Gives back what hasn't begun of a runner's batch.
        grace_seconds: What running jobs have; None: JOBS["GRACE"].
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        worker_name: str,
        break_up: Callable[[Slot], None],
        grace_seconds: float | None = None,
    ) -> None:
        self._slots = slots
        self._worker_name = worker_name
        self._break_up = break_up
        self._grace_seconds = grace_seconds
        self._asked = 0
        self._grace_until: float | None = None  # time.monotonic(); set when it begins
        self._has_interrupted = False

    @property
    def is_asked(self) -> bool:
        """Whether a signal or a command wants it."""
        return self._asked > 0

    @property
    def has_begun(self) -> bool:
        """Whether nothing is claimed any more."""
        return self._grace_until is not None

    @property
    def has_ended(self) -> bool:
        """Whether every runner has gone."""
        return self.has_begun and all(slot.pid is None for slot in self._slots)

    @property
    def next_at(self) -> float | None:
        """When it goes on by itself, by time.monotonic()."""
        return None if self._has_interrupted else self._grace_until

    def ask(self) -> None:
        """Want it; whoever asks twice doesn't wait for the grace."""
        self._asked += 1

    def begin(self, reason: str) -> None:
        """Have the runners claim nothing more and end after their job."""
        grace_seconds = self._grace_seconds
        if grace_seconds is None:
            grace_seconds = conf.current().grace.total_seconds()
        logger.info(
            "Worker %s stops: %s. %d job(s) running, they have %g s",
            self._worker_name,
            reason,
            sum(slot.count_running for slot in self._slots),
            grace_seconds,
        )
        self._grace_until = time.monotonic() + grace_seconds
        for slot in self._slots:
            slot.fork_at = None
            slot.say(say="drain")
            # Where a server hangs it would not hear of the drain.
            slot.end_if_idle(IDLE_SECONDS)

    def proceed(self) -> None:
        """Interrupt what runs once the grace is over, or when asked again; to be called often."""
        if self._grace_until is None:
            return
        if not self._has_interrupted and (self._asked > 1 or time.monotonic() >= self._grace_until):
            self._has_interrupted = True
            self._warn()
        if self._has_interrupted:
            for slot in self._slots:
                self._interrupt(slot)

    def _warn(self) -> None:
        if running := sum(slot.count_running for slot in self._slots):
            logger.warning(
                "Worker %s: %s, %d job(s) running are interrupted",
                self._worker_name,
                "asked again" if self._asked > 1 else "the grace is over",
                running,
            )

    def _interrupt(self, slot: Slot) -> None:
        """Interrupt a runner, once for each job; one may have claimed or started just then."""
        self._break_up(slot)  # else the next of its batch would begin
        for ride in slot.aboard.rides.values():
            slot.stop_ride(ride, Reason.INTERRUPT)
        slot.interrupt()
