"""What has been run is recorded in PostgreSQL, and told; each thread of a runner has a ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from jobs.broker.registries import Ended
from jobs.errors import StaleAttempt
from jobs.lifecycle import announce
from jobs.lifecycle.announce import Ending
from jobs.lifecycle.outcomes import Settlement, Unbegun
from jobs.lifecycle.settle import Settled, settle
from jobs.models import JobStatus
from jobs.processes.connection import discard, unit_of_work
from jobs.processes.outage import Outage, Tries
from jobs.statuses import Status
from jobs.worker.run import Ran

logger = logging.getLogger("jobs.worker")


class Ledger:
    """Settles, however long PostgreSQL is away: the work has been done.

    Args:
        worker_id: The JobWorker row.
        worker_name: For the dashboard.
        postgresql: The outage, as the ledger's thread sees it.
    """

    def __init__(self, *, worker_id: UUID, worker_name: str, postgresql: Outage) -> None:
        self._worker_id = worker_id
        self._worker_name = worker_name
        self._postgresql = postgresql
        self._untold: list[Ended] = []

    def record(self, rans: Sequence[Ran], *, unbegun: Sequence[JobStatus] = ()) -> None:
        """Settle these attempts, give back the jobs that never began, and tell of both.

        Raises:
            SystemExit: PostgreSQL refuses it. The runner is to end; its supervisor settles.
        """
        settlements = [
            *(ran.settlement for ran in rans if ran.settled is None),
            *(Settlement(job_id=job.id, claim=job.claim, outcome=Unbegun()) for job in unbegun),
        ]
        settled = self._settle(settlements) if settlements else []
        self.tell_soon(rans, settled, unbegun=unbegun)
        self.tell_now()

    def tell_soon(
        self, rans: Sequence[Ran], settled: Sequence[Settled], *, unbegun: Sequence[JobStatus] = ()
    ) -> None:
        """Log what has been settled; the dashboard is told by whoever takes `words`, or now.

        What is queued again goes back to its queue at once.
        """
        endings = self._endings(rans, settled, unbegun=unbegun)
        self._untold += announce.shown(endings)
        if any(ending.settled.status is Status.QUEUED for ending in endings):
            self.tell_now()
            with unit_of_work():
                announce.push_given_back(endings)

    def words(self) -> list[Ended]:
        """Take what the dashboard has yet to be told."""
        untold, self._untold = self._untold, []
        return untold

    def keep(self, words: Sequence[Ended]) -> None:
        """Put back words that couldn't be told; telling twice does no harm."""
        self._untold[:0] = words

    def tell_now(self) -> None:
        """Tell the dashboard: one round trip, none where there is nothing to tell."""
        announce.show(self.words(), worker_name=self._worker_name, worker_id=self._worker_id)

    def _endings(
        self, rans: Sequence[Ran], settled: Sequence[Settled], *, unbegun: Sequence[JobStatus] = ()
    ) -> list[Ending]:
        # What came too late is logged only.
        by_id = {end.job_id: end for end in settled}
        found = []
        for ran in rans:
            own = ran.settled[0] if ran.settled else by_id.get(ran.settlement.job_id)
            if own is None:
                settlement = ran.settlement
                logger.warning("%s", StaleAttempt(job_id=settlement.job_id, claim=settlement.claim))
                continue
            found.append(Ending(settled=own, outcome=ran.settlement.outcome, job=ran.job))
        found += [
            Ending(settled=by_id[job.id], outcome=Unbegun(), job=job)
            for job in unbegun
            if job.id in by_id
        ]
        return found

    def _settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        tries = Tries(self._postgresql)
        while True:
            try:
                with unit_of_work():
                    settled = settle(settlements)
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
