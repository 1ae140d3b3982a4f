"""The places of a worker's children: who is in them, who is due to be forked or killed."""

from __future__ import annotations

import logging
import math
import socket
import time
from uuid import UUID

from jobs import conf
from jobs.processes import channel
from jobs.processes.mother import Mother
from jobs.worker.registration import Identity
from jobs.worker.slot import Slot

logger = logging.getLogger("jobs.worker")

YOUNG_SECONDS = 1.0  # a child that dies younger, without a job, is forked anew with a delay
MAX_DELAY_SECONDS = 10.0
PAUSE_SECONDS = 6.0  # the supervisor looks oftener, unless it was paused itself


class Nursery:
    """The runners and the duties of one worker; everything in the supervisor's main thread.

    Attributes:
        runners: A slot each, in the order of their index.
        duties: The slot of the process that does the duties; its index is -1.
    """

    def __init__(
        self, identity: Identity, *, mother: Mother, async_slots: int | None = None
    ) -> None:
        self.runners = [Slot(index=index) for index in range(identity.concurrency)]
        self.duties = Slot(index=-1)
        self._identity = identity
        self._mother = mother
        self._async_slots = async_slots
        self._looked_at = time.monotonic()

    @property
    def everyone(self) -> list[Slot]:
        """The slots of all children."""
        return [*self.runners, self.duties]

    def announced(self, *, but: Slot | None = None) -> frozenset[str]:
        """Return the entry ids that the runners have claimed, or started and not yet settled.

        Args:
            but: Of a runner that is dead.
        """
        slots = [slot for slot in self.runners if slot is not but]
        return frozenset(entry for slot in slots for entry in slot.announced)

    def next_at(self, *, may_fork: bool) -> list[float]:
        """Return the moments, by time.monotonic(), at which something here is due."""
        moments = [
            moment
            for slot in self.runners
            for moment in (slot.old_at, slot.aboard.next_at)
            if moment is not None
        ]
        if may_fork:
            moments += [slot.fork_at for slot in self.everyone if slot.fork_at is not None]
        if self.duties.pid is not None:
            moments.append(self.duties.heard_at + _silence_seconds())
        return moments

    def fork_due(self, worker_id: UUID, *, rationed: bool) -> None:
        """Ask the mother for whoever is due."""
        for slot in self.everyone:
            if slot.fork_at is not None and time.monotonic() >= slot.fork_at:
                slot.fork_at = None
                self._mother.fork(
                    "duties" if slot is self.duties else "runner",
                    index=slot.index,
                    worker_id=str(worker_id),
                    name=self._identity.name,
                    queues=list(self._identity.queues),
                    rationed=rationed,
                    async_slots=self._async_slots or conf.current().async_slots,
                )

    def place(self, message: channel.Message, fds: list[int]) -> Slot:
        """Put the child that the mother has forked into its slot."""
        slot = self._slot_of(message)
        slot.place(message["forked"], socket.socket(fileno=fds[0]))
        return slot

    def try_later(self, message: channel.Message, *, may_fork: bool) -> None:
        """Note that there was no room for a child, and when to ask for it again."""
        slot = self._slot_of(message)
        slot.failures += 1
        delay = _delay_seconds(slot.failures)
        logger.error("No child could be forked, again in %g s: %s", delay, message["unforked"])
        slot.fork_at = time.monotonic() + delay if may_fork else None

    def _slot_of(self, message: channel.Message) -> Slot:
        index = message["index"]
        return self.duties if index < 0 else self.runners[index]

    def find(self, pid: int) -> Slot | None:
        """Return the slot of the child with this pid."""
        return next((slot for slot in self.everyone if slot.pid == pid), None)

    def bury(self, slot: Slot, *, code: int, may_fork: bool) -> None:
        """Empty a dead child's slot, and note when the next one is due."""
        died_young = time.monotonic() - slot.forked_at < YOUNG_SECONDS and not slot.announced
        slot.failures = slot.failures + 1 if died_young and code else 0
        delay = _delay_seconds(slot.failures)
        slot.empty()
        slot.fork_at = time.monotonic() + delay if may_fork else None

    def old(self) -> list[Slot]:
        """Return the runners whose batch is so old that it is to be broken up."""
        now = time.monotonic()
        return [slot for slot in self.runners if (slot.old_at or math.inf) <= now]

    def kill_due(self) -> None:
        """Kill runners whose job's time is over, and whoever hangs."""
        for slot in self.runners:
            slot.kill_if_due()
            slot.kill_for_ride_if_due()
        now = time.monotonic()
        if now - self._looked_at > PAUSE_SECONDS:
            for slot in self.everyone:
                slot.heard_at = now  # they may have been paused together with us
        self._looked_at = now
        self._kill_silent(now)
        unreported = [slot.hung_up_at for slot in self.everyone if slot.is_unreported]
        if any(now - at >= _silence_seconds() for at in unreported):
            # Who waits for the dead hangs herself: nobody else could tell how they died.
            logger.error("The mother process did not report a death: killed")
            self._mother.kill()

    def _kill_silent(self, now: float) -> None:
        for slot in self.runners:
            since = slot.owes_a_word_since
            if since is not None and now - since >= _silence_seconds():
                logger.error(
                    "Runner %s said nothing for %g s: killed", slot.pid, _silence_seconds()
                )
                slot.heard_at = now
                slot.cut_off()
        if self.duties.pid is not None and now - self.duties.heard_at >= _silence_seconds():
            logger.error("The duties said nothing for %g s: killed", _silence_seconds())
            self.duties.heard_at = now
            self.duties.kill()


def _delay_seconds(failures: int) -> float:
    return min(0.5 * 2.0 ** min(failures, 10), MAX_DELAY_SECONDS) if failures else 0.0


def _silence_seconds() -> float:
    return conf.current().lease.total_seconds()
