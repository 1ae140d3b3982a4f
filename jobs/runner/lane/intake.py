"""Async jobs for the lane while the main thread is busy: those that stand at the queues' heads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from uuid import UUID

from jobs import registry
from jobs.broker import claim, client, heads
from jobs.broker.heads import Heads
from jobs.lifecycle import announce
from jobs.lifecycle.start import start
from jobs.models import JobStatus
from jobs.models.job_status import job_ids
from jobs.processes.connection import unit_of_work

MOST_AT_ONCE = 100


class Intake:
    """Claims and starts them; everything in the usher's thread.

    A sync job at the head is the main thread's, here or in another runner, and nothing behind it is
    taken: within a queue jobs start in their order.

    Args:
        worker_id: The JobWorker row of this start of the worker.
        worker_name: Its name.
        queues: Its queues, in their order.
        say: Tells the supervisor.

    Attributes:
        is_possible: Whether any job class is async.
    """

    def __init__(
        self, *, worker_id: UUID, worker_name: str, queues: Sequence[str], say: Callable[..., None]
    ) -> None:
        self.worker_id = worker_id
        self.worker_name = worker_name
        self._queues = queues
        self.say = say
        # Registered before any runner was forked.
        self.is_possible = bool(registry.async_names())
        self._unreturned: list[str] = []  # claimed ids to put back when Redis answers

    def take(self, room: int) -> list[JobStatus]:
        """Return up to `room` jobs, started.

        Raises:
            django.db.DatabaseError, django.db.InterfaceError, client.Unreachable: A server is away.
                What has been claimed is put back by `put_back`.
        """
        seen = heads.peek(client.for_work(), self._queues, count=min(room, MOST_AT_ONCE))
        if seen is None:
            return []
        prefix = Heads(queue=seen.queue, ids=_async_prefix(seen.ids))
        entries = heads.take(client.for_work(), prefix, self.worker_id) if prefix.ids else []
        return self._start(entries, room) if entries else []

    def _start(self, entries: list[str], room: int) -> list[JobStatus]:
        self.say(say="entering", ids=entries)
        self._unreturned += entries
        # If this fails, nobody knows whether the start was committed: what is put back is then a
        # duplicate, and the keeper settles the attempt that nobody runs.
        with unit_of_work():
            beginning = start(job_ids(entries), worker_id=self.worker_id, room=room)
        self._unreturned = list(map(str, beginning.later))
        nobodys = [*beginning.dropped, *beginning.strangers]
        if nobodys:
            self.say(say="left", ids=list(map(str, nobodys)))
            with unit_of_work():
                announce.dropped(nobodys, worker_name=self.worker_name, worker_id=self.worker_id)
        return beginning.jobs

    def put_back(self) -> None:
        """Put back what was claimed and not started.

        Raises:
            client.Unreachable: Redis is away.
        """
        if self._unreturned:
            claim.put_back(client.for_work(), self.worker_id, self._unreturned)
            self.say(say="left", ids=self._unreturned)
            self._unreturned = []


def is_async(job: JobStatus) -> bool:
    """Whether the job's class is."""
    spec = registry.find(job.job_class)
    return spec is not None and spec.is_async


def async_among(ids: Sequence[str]) -> frozenset[str]:
    """Return those of `ids` whose job's class is async."""
    with unit_of_work():
        rows = JobStatus.objects.filter(id__in=job_ids(ids)).values_list("id", "job_class")
        specs = {str(job_id): registry.find(name) for job_id, name in rows}
    return frozenset(job_id for job_id, spec in specs.items() if spec and spec.is_async)


def _async_prefix(ids: Sequence[str]) -> list[str]:
    found = async_among(ids)
    return list(itertools.takewhile(lambda entry: entry in found, ids))
