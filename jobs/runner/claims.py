"""What a runner's main thread takes from the queues, and owes them again."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.broker import claim, client
from jobs.lifecycle.start import Beginning
from jobs.models.job_status import is_job_id
from jobs.runner.ledger import Ledger
from jobs.runner.orders import Orders

# How long an idle runner waits for a push. A plain rq job wakes nobody: the next look finds it.
IDLE_SECONDS = 0.25


class Claims:
    """Every method may raise `client.Unreachable`, but for `put_back`.

    Args:
        orders: The runner's.
        ledger: The main thread's: what others are to be told of ends goes with the next take.
    """

    def __init__(self, orders: Orders, ledger: Ledger) -> None:
        self._orders = orders
        self._ledger = ledger
        self._owed: list[str] = []  # claimed ids to put back when Redis answers

    @property
    def is_owing(self) -> bool:
        """Whether something is to be put back."""
        return bool(self._owed)

    def take(self, count: int) -> claim.Taken:
        """Take up to `count` entries, and tell the dashboard what the ledger has for it."""
        words = self._ledger.words()
        try:
            return claim.take(
                client.for_work(),
                self._orders.queues,
                self._orders.worker_id,
                count=count,
                ended=words,
                worker_name=self._orders.worker_name,
            )
        except client.Unreachable:
            self._ledger.keep(words)
            raise

    def wait_and_take(self, count: int) -> claim.Taken:
        """Take up to `count` entries as soon as there are some, at the latest after a moment."""
        return claim.take_when_pushed(
            client.for_work(),
            self._orders.queues,
            self._orders.worker_id,
            count=count,
            seconds=IDLE_SECONDS,
        )

    def owe(self, ids: Sequence[str]) -> None:
        """Note claimed ids to be put back."""
        self._owed += ids

    def put_back(self, ids: Sequence[str]) -> None:
        """Put claimed ids back; where Redis is away, later: what was started must run."""
        try:
            claim.put_back(client.for_work(), self._orders.worker_id, ids)
        except client.Unreachable:
            self.owe(ids)

    def pay(self) -> None:
        """Put back what is owed."""
        claim.put_back(client.for_work(), self._orders.worker_id, self._owed)
        self._owed.clear()


def sort_out(
    entries: Sequence[tuple[str, str]], beginning: Beginning
) -> tuple[list[str], tuple[str, str] | None]:
    """Return what of claimed `entries` goes back, and the plain rq job that is to run now, if any.

    All else was started or is nobody's: duplicates, cancelled meanwhile, running elsewhere. A plain
    job runs alone, and only where it stands first.

    Args:
        entries: Pairs of queue and entry id, in the order in which they were claimed.
        beginning: What a start has made of them.
    """
    gone = {str(job.id) for job in beginning.jobs} | set(map(str, beginning.dropped))
    left = [entry for entry in entries if entry[1] not in gone]
    plain_entry = None
    if left and not beginning.jobs and not beginning.is_refused:
        first = left[0][1]
        if first in set(map(str, beginning.strangers)) or not is_job_id(first):
            plain_entry = left.pop(0)
    return [entry_id for _, entry_id in left], plain_entry
