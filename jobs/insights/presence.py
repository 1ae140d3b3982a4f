"""Who is there: workers, as their heartbeats tell, and Redis."""

from __future__ import annotations

from django.db.models.expressions import RawSQL

from jobs import conf
from jobs.broker import client
from jobs.models import JobWorker, clock


def living_workers() -> list[JobWorker]:
    """Return the workers whose heartbeat is younger than a lease, by name.

    By the index job_workers_running. Only the leader calls a worker dead; here one that is silent
    for longer is merely not counted on.
    """
    silent_before = RawSQL(f"{clock.WALL} - %s", (conf.current().lease,))
    return list(
        JobWorker.objects.filter(
            stopped_at=None, dead_at=None, heartbeat_at__gt=silent_before
        ).order_by("name")
    )


def serves(worker: JobWorker, queue: str) -> bool:
    """Whether `worker` takes jobs from `queue`."""
    return queue in worker.queues


def redis_answers() -> bool:
    """Whether Redis answers within half a second."""
    try:
        return bool(client.for_push().ping())
    except client.Unreachable:
        return False
