"""The leader's own watch over heartbeats: it believes its own eyes, and no clock but its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from jobs import conf
from jobs.models import JobWorker

# Looks further apart than this share of a lease say nothing of the time between them.
_LARGEST_GAP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A heartbeat, and since when we have seen no newer one."""

    heartbeat_at: datetime
    seen_since: float  # of the watch's monotonic clock


@dataclass(slots=True, kw_only=True)
class HeartbeatWatch:
    """What one leader has seen; a new leader begins with nothing."""

    monotonic: Callable[[], float] = time.monotonic
    beat_by_worker: dict[UUID, Beat] = field(default_factory=dict)
    answered_at: float | None = None  # the last look, if the database answered it

    def look(self) -> dict[UUID, datetime]:
        """Read the heartbeats; return those that stood still for a whole lease, by worker.

        A look that failed, or was long in coming, begins the watch anew: while the database doesn't
        answer, no worker can renew its heartbeat, and all would seem dead.
        """
        lease_seconds = conf.current().lease.total_seconds()
        begun_at, answered_at = self.monotonic(), self.answered_at
        self.answered_at = None  # stays so if the database doesn't answer
        living = JobWorker.objects.filter(stopped_at=None, dead_at=None)
        heartbeat_by_worker = dict(living.values_list("id", "heartbeat_at"))
        self.answered_at = self.monotonic()
        if answered_at is None or self.answered_at - answered_at > lease_seconds * _LARGEST_GAP:
            self.beat_by_worker.clear()
        self._remember(heartbeat_by_worker, self.answered_at)
        return {
            worker_id: beat.heartbeat_at
            for worker_id, beat in self.beat_by_worker.items()
            if begun_at - beat.seen_since >= lease_seconds
        }

    def begin_anew(self) -> None:
        """Forget what has been seen: it may be the database that keeps heartbeats from coming."""
        self.answered_at = None

    def _remember(self, heartbeat_by_worker: dict[UUID, datetime], now: float) -> None:
        known = self.beat_by_worker
        self.beat_by_worker = {
            worker_id: known[worker_id]
            if worker_id in known and known[worker_id].heartbeat_at == heartbeat_at
            else Beat(heartbeat_at=heartbeat_at, seen_since=now)
            for worker_id, heartbeat_at in heartbeat_by_worker.items()
        }
