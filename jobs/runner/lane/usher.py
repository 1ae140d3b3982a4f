"""The usher: settles the attempts that leave the lane, and has others begin while main is busy."""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from django.db import connections

from jobs.lifecycle import announce
from jobs.models import JobStatus
from jobs.processes.outage import OUTAGES, Outages
from jobs.runner.lane.async_attempt import AsyncAttempt
from jobs.runner.lane.grip import Grip
from jobs.runner.lane.intake import Intake
from jobs.runner.lane.lane import Lane
from jobs.runner.ledger import Ledger
from jobs.runner.orders import SAID_AT_ONCE, Orders, described
from jobs.runner.run import Ran

logger = logging.getLogger("jobs.worker")

# How often the heads of the queues are looked at while the main thread is busy.
LOOK_SECONDS = 0.1
# What has run for so long is told of; a shorter attempt is told of once, at its end.
TOLD_AFTER_SECONDS = 0.05
SETTLED_AT_ONCE = 200


class Usher(threading.Thread):
    """Has the lane. Ends where PostgreSQL refuses what it settles, and the runner with it.

    Args:
        slots: How many async attempts may run at once.
        grip: Where each step says whose it is.
        intake: Where it finds more.
        ledger: This thread's own, and with it its database connection, opened at its first use.
        outages: As its thread sees them.
        may_claim: Whether it may claim for the lane: the main thread is busy, and nobody stops.
    """

    def __init__(
        self,
        *,
        slots: int,
        grip: Grip,
        intake: Intake,
        ledger: Ledger,
        outages: Outages,
        may_claim: Callable[[], bool],
    ) -> None:
        super().__init__(name="usher", daemon=True)
        self.lane = Lane(slots=slots, grip=grip, ended=self._note_end)
        # Held by whoever claims: what one has room for, the other must not fill.
        self.door = threading.Lock()
        self.jobs_run = 0
        self._intake = intake
        self._ledger = ledger
        self._may_claim = may_claim
        self._news = threading.Event()
        self._ended: collections.deque[AsyncAttempt] = collections.deque()
        self._untold: collections.deque[AsyncAttempt] = collections.deque()
        self._is_closing = False
        self._take_at = 0.0  # time.monotonic(): until then a server that is away is left alone
        self._outages = outages

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs on the lane, and all that ran in the runner is settled and told of.

        But for the main thread's last batch.
        """
        return not (self.lane.attempts or self._ended or self._ledger.kept)

    def look(self) -> None:
        """Look at once for what may begin; from any thread."""
        self._news.set()

    def begin(self, jobs: Sequence[JobStatus]) -> None:
        """Begin the attempts that `start` made; from any thread."""
        for at in range(0, len(jobs), SAID_AT_ONCE):
            self._intake.say(
                say="entered", jobs=[described(job) for job in jobs[at : at + SAID_AT_ONCE]]
            )
        for job in jobs:
            self._untold.append(self.lane.begin(job))
        if jobs:
            self._news.set()

    def run(self) -> None:
        """Be the thread, until the process ends or the usher is closed."""
        while not self._is_closing:
            self._news.wait(self._seconds_to_next())
            self._news.clear()
            self._settle_ended()
            self._tell_begun()
            while self._take_in():
                self._settle_ended()
        connections.close_all()

    def close(self) -> None:
        """End the threads and their connections; when it is idle, and has nothing to begin."""
        self._is_closing = True
        self._news.set()
        self.join()
        self.lane.close()

    def _seconds_to_next(self) -> float | None:
        if self._ended:
            return 0.0
        if self._untold:
            due_at = self._untold[0].begun_at + TOLD_AFTER_SECONDS
            return min(LOOK_SECONDS, max(0.0, due_at - time.monotonic()))
        return LOOK_SECONDS if self._intake.is_possible else None

    # --- The end ---

    def _note_end(self, attempt: AsyncAttempt) -> None:
        self._ended.append(attempt)
        self._news.set()

    def _settle_ended(self) -> None:
        while self._ended:
            attempts = [self._ended[at] for at in range(min(len(self._ended), SETTLED_AT_ONCE))]
            self._ledger.record(
                [Ran(job=attempt.job, settlement=attempt.settlement()) for attempt in attempts]
            )
            self.jobs_run += len(attempts)
            left = {str(attempt.job.id) for attempt in attempts} - self._ledger.kept.ids
            self._intake.say(say="left", ids=sorted(left))
            for _ in attempts:
                self._ended.popleft()

    # --- The begin ---

    def _tell_begun(self) -> None:
        begun, now = list[JobStatus](), time.monotonic()
        while self._untold and now - self._untold[0].begun_at >= TOLD_AFTER_SECONDS:
            attempt = self._untold.popleft()
            if attempt.ended_at is None:
                begun.append(attempt.job)
        announce.started(
            begun, worker_name=self._intake.worker_name, worker_id=self._intake.worker_id
        )

    def _take_in(self) -> bool:
        """Begin async jobs that stand at the head of the queues; return whether one was begun."""
        if time.monotonic() < self._take_at:
            return False
        try:
            self._intake.put_back()
            may_take = self.lane.free and self._intake.is_possible and self._may_claim()
            return bool(may_take) and self._take()
        except OUTAGES as error:
            self._take_at = time.monotonic() + self._outages.of(error).failed(error)
            return False

    def _take(self) -> bool:
        if not self.door.acquire(blocking=False):
            return False
        try:
            jobs = self._intake.take(self.lane.free)
            self.begin(jobs)
        finally:
            self.door.release()
        self._outages.redis.answered()
        self._outages.postgresql.answered()
        return bool(jobs)


def make(
    orders: Orders,
    ledger: Callable[[Outages], Ledger],
    *,
    grip: Grip,
    say: Callable[..., None],
    may_claim: Callable[[], bool],
) -> Usher:
    """Return a runner's usher; `say` tells the supervisor, the rest is as for the classes."""
    worker_id, worker_name = orders.worker_id, orders.worker_name
    outages = Outages(f"Usher of runner {os.getpid()}", log=logger)
    return Usher(
        slots=orders.async_slots,
        grip=grip,
        intake=Intake(worker_id=worker_id, worker_name=worker_name, queues=orders.queues, say=say),
        ledger=ledger(outages),
        outages=outages,
        may_claim=may_claim,
    )
