"""The runner's third thread: what must not wait for the job that has the first."""

from __future__ import annotations

import logging
import threading
import time

from jobs.lifecycle import announce
from jobs.runner.batch import Batch
from jobs.runner.kept import AGAIN_SECONDS
from jobs.runner.ledger import Ledger
from jobs.runner.orders import Orders
from jobs.runner.pace import BATCH_SECONDS
from jobs.runner.watch import Watch

logger = logging.getLogger("jobs.worker")

# So long after the last batch it sleeps until it is rung for.
QUIET_SECONDS = 1.0


class Clerk(threading.Thread):
    """Breaks up each batch that is 50 ms old.

    What is done is settled, what hasn't begun is given back, and only now others are told that the
    job which is running has begun: what is shorter is told of once, at its end. The rows have said
    `started` all the time.

    It also records the ends that were kept, since somebody held their rows.

    Args:
        ledger: This thread's own, and with it its database connection, opened at its first use.
        orders: The runner's.
        watch: Over the running job, which now needs its alarm.
        main_ledger: The main thread's, which has settled the batch before.
    """

    def __init__(
        self, ledger: Ledger, orders: Orders, *, watch: Watch, main_ledger: Ledger
    ) -> None:
        super().__init__(name="clerk", daemon=True)
        self._ledger = ledger
        self._main_ledger = main_ledger
        self._watch = watch
        self._orders = orders
        self._batch: Batch | None = None
        self._attended: Batch | None = None
        self._kept = ledger.kept
        self._again_at = 0.0  # time.monotonic(): when what is kept is tried again
        self._bell = ledger.kept.bell
        self._is_asleep = False

    def expect(self, batch: Batch) -> None:
        """Attend to `batch` when it is old enough; from the main thread."""
        self._batch = batch
        # Asleep or not it looks at the batch again before it waits: no lock, a batch is short.
        if self._is_asleep:
            self._bell.set()

    def run(self) -> None:
        """Be the thread; ends where PostgreSQL refuses what it settles, and the runner with it."""
        while True:
            self._attend(self._next())

    def _next(self) -> Batch:
        """Return the next batch that is 50 ms old."""
        quiet_at = time.monotonic() + QUIET_SECONDS
        while True:
            if self._kept:
                self._try_kept()
                quiet_at = time.monotonic() + QUIET_SECONDS  # stay awake: there is more to try
            batch, now = self._batch, time.monotonic()
            if batch is not None and batch is not self._attended:
                seconds = batch.opened_at + BATCH_SECONDS - now
                if seconds <= 0:
                    self._attended = batch
                    return batch
                quiet_at = now + QUIET_SECONDS
                self._bell.wait(seconds)
            elif now < quiet_at:
                self._bell.wait(BATCH_SECONDS)
            else:
                self._is_asleep = True
                if self._batch is batch and not self._kept:
                    self._bell.wait()
                self._is_asleep = False
                quiet_at = time.monotonic() + QUIET_SECONDS
            self._bell.clear()

    def _try_kept(self) -> None:
        if time.monotonic() >= self._again_at:
            self._ledger.record_kept()
            self._again_at = time.monotonic() + AGAIN_SECONDS

    def _attend(self, batch: Batch) -> None:
        self._watch.set_alarm()
        with batch.attending:
            # Else the ends of the batch before are told of with the next take: after this job.
            self._main_ledger.tell_now()
            unbegun = batch.take_rest()
            rans = batch.harvest()
            if rans or unbegun:
                try:
                    self._ledger.record(rans, unbegun=unbegun)
                except SystemExit:
                    batch.keep(rans)
                    raise
            if unbegun:
                batch.note_return()
            # Its end is told by the main thread, once we let go.
            job = batch.running
            if job is not None:
                announce.started(
                    [job], worker_name=self._orders.worker_name, worker_id=self._orders.worker_id
                )
        batch.is_attended = True
