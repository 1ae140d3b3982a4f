"""What has been run is recorded in PostgreSQL, and told; each thread of a runner has a ledger."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from jobs.broker.registries import Ended
from jobs.errors import StaleAttempt
from jobs.lifecycle import announce, unsettled
from jobs.lifecycle.announce import Ending
from jobs.lifecycle.outcomes import Settlement, Unbegun
from jobs.lifecycle.settle import Settled, followed, settle
from jobs.models import JobStatus
from jobs.processes.connection import discard, unit_of_work
from jobs.processes.outage import Outage, Outages, Tries
from jobs.runner.kept import Kept
from jobs.runner.orders import Orders
from jobs.runner.run import Ran
from jobs.statuses import Status

logger = logging.getLogger("jobs.worker")


class Ledger:
    """Settles, however long PostgreSQL is away: the work has been done.

    Args:
        worker_id: The JobWorker row.
        worker_name: For the dashboard.
        postgresql: The outage, as the ledger's thread sees it.
        kept: The runner's, for ends whose rows somebody holds.
    """

    def __init__(
        self, *, worker_id: UUID, worker_name: str, postgresql: Outage, kept: Kept
    ) -> None:
        self.kept = kept
        self._worker_id = worker_id
        self._worker_name = worker_name
        self._postgresql = postgresql
        self._untold: list[Ended] = []
        self._words = threading.Lock()  # the clerk takes the main thread's as well

    def record(self, rans: Sequence[Ran], *, unbegun: Sequence[JobStatus] = ()) -> None:
        """Settle these attempts, give back the jobs that never began, and tell of both.

        Of an end whose row somebody holds nothing is told: it is kept.

        Raises:
            SystemExit: PostgreSQL refuses it. The runner is to end; its supervisor settles.
        """
        ends = [*rans, *map(_unbegun, unbegun)]
        settlements = [ran.settlement for ran in ends if ran.settled is None]
        settled = self._settle(settlements) if settlements else []
        self.tell_soon(ends, settled)
        self.tell_now()

    def record_kept(self) -> None:
        """Settle what was kept, as far as it is held no more, and tell of it."""
        rans = self.kept.rans
        try:
            with unit_of_work():
                settled = settle([ran.settlement for ran in rans], wait=False)
        except (DatabaseError, InterfaceError):
            discard(connection)
            return
        held = self.tell_soon(rans, settled)
        self.kept.let_go([ran for ran in rans if ran not in held])
        self.tell_now()

    def tell_soon(self, rans: Sequence[Ran], settled: Sequence[Settled]) -> list[Ran]:
        """Log what has been settled; the dashboard is told by whoever takes `words`, or now.

        What is queued again goes back to its queue at once. Returns what is kept.
        """
        end_by_id = {end.job_id: end for end in settled}
        for ran in rans:
            if ran.settled:
                end_by_id[ran.job.id] = ran.settled[0]
        missing = [ran for ran in rans if ran.job.id not in end_by_id]
        held = self._look_into(missing, end_by_id) if missing else []
        endings = [
            Ending(settled=end_by_id[ran.job.id], outcome=ran.settlement.outcome, job=ran.job)
            for ran in rans
            if ran.job.id in end_by_id
        ]
        shown = announce.shown(endings)
        with self._words:
            self._untold += shown
        if any(ending.settled.status is Status.QUEUED for ending in endings):
            self.tell_now()
            with unit_of_work():
                announce.push_given_back(endings)
        return held

    def words(self) -> list[Ended]:
        """Take what the dashboard has yet to be told."""
        with self._words:
            untold, self._untold = self._untold, []
            return untold

    def keep(self, words: Sequence[Ended]) -> None:
        """Put back words that couldn't be told; telling twice does no harm."""
        with self._words:
            self._untold[:0] = words

    def tell_now(self) -> None:
        """Tell the dashboard: one round trip, none where there is nothing to tell."""
        announce.show(self.words(), worker_name=self._worker_name, worker_id=self._worker_id)

    def _look_into(self, missing: Sequence[Ran], end_by_id: dict[UUID, Settled]) -> list[Ran]:
        """Add to `end_by_id` what is found to be recorded; keep, and return, what is held."""
        settlements = [ran.settlement for ran in missing]
        try:
            with unit_of_work():
                found = unsettled.look(settlements)
                followed(found.recorded)
                # Let go since it was passed over; or refused, and then it is again.
                running = [one for one in settlements if one.job_id in found.running]
                found.recorded.extend(settle(running, wait=False))
        except (DatabaseError, InterfaceError):
            discard(connection)
            held = list(missing)  # until PostgreSQL can tell
        else:
            held = [ran for ran in missing if ran.job.id in found.held]
            end_by_id |= {end.job_id: end for end in found.recorded}
            known = {*end_by_id, *found.held, *found.running}
            for one in settlements:
                if one.job_id not in known and not isinstance(one.outcome, Unbegun):
                    logger.warning("%s", StaleAttempt(job_id=one.job_id, claim=one.claim))
        self.kept.keep(held)
        return held

    def _settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        tries = Tries(self._postgresql)
        while True:
            try:
                with unit_of_work():
                    settled = settle(settlements, wait=False)
            except (DatabaseError, InterfaceError) as error:
                discard(connection)
                seconds = tries.failed(error)
                if seconds is None:
                    ids = ", ".join(str(settlement.job_id) for settlement in settlements[:5])
                    logger.exception("Job %s: its outcome is refused, this runner ends", ids)
                    raise SystemExit(1) from error
                time.sleep(seconds)
            else:
                self._postgresql.answered()
                return settled


def ledger_maker(orders: Orders, say: Callable[..., None]) -> Callable[[Outages], Ledger]:
    """Return what makes the ledgers of a runner's threads, each with its own outages.

    Args:
        orders: The runner's.
        say: Tells the supervisor what is kept.
    """
    kept = Kept(say)
    return lambda outages: Ledger(
        worker_id=orders.worker_id,
        worker_name=orders.worker_name,
        postgresql=outages.postgresql,
        kept=kept,
    )


def _unbegun(job: JobStatus) -> Ran:
    settlement = Settlement(job_id=job.id, claim=job.claim, outcome=Unbegun())
    return Ran(job=job, settlement=settlement)
