"""Does what we need answer? Asked in bounded time, whatever hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta

from django import db
from django.db import connection
from django.db.models.expressions import RawSQL

from jobs import conf
from jobs.broker import client
from jobs.models import JobWorker, clock

# Longer than a healthy server ever takes, shorter than any prober's patience.
LIMIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What answered. `has_worker` is a detail: jobs wait for a worker, nothing is lost."""

    database: bool
    redis: bool
    has_worker: bool  # some worker's heartbeat is younger than its lease

    @property
    def failed(self) -> list[str]:
        """The names of the parts that didn't answer."""
        answers = {"database": self.database, "redis": self.redis}
        return [name for name, answered in answers.items() if not answered]


@dataclass(slots=True)
class _Question:
    """One question, asked in a thread of its own; who asks while it is open shares its answer.

    A connection that hangs can't be interrupted from here, so its thread is left to it: one a
    question, however often somebody asks.
    """

    ask: Callable[[], bool | None]  # None: no answer
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: Future[bool | None] | None = None

    def put(self) -> Future[bool | None]:
        with self.lock:
            if self.open is None or self.open.done():
                self.open = Future()
                threading.Thread(target=self._answer, args=(self.open,), daemon=True).start()
            return self.open

    def _answer(self, future: Future[bool | None]) -> None:
        answer = None
        try:
            answer = self.ask()
        finally:
            future.set_result(answer)


def _ask_database() -> bool | None:
    """Return whether a worker is alive; None if the database didn't say."""
    lease = conf.current().lease
    try:
        return JobWorker.objects.filter(
            stopped_at=None,
            dead_at=None,
            heartbeat_at__gt=RawSQL(f"{clock.WALL} - %s::interval", (lease,)),
        ).exists()
    except db.Error:
        return None
    finally:
        connection.close()


def _ask_redis() -> bool | None:
    try:
        client.for_work().ping()
    except client.Unreachable:
        return None
    return True


_database = _Question(_ask_database)
_redis = _Question(_ask_redis)


def check(limit: timedelta = LIMIT) -> Health:
    """Ask database and Redis at once; what hasn't answered within `limit` counts as failed."""
    asked = _database.put(), _redis.put()
    deadline = time.monotonic() + limit.total_seconds()
    has_worker, redis_answered = (_wait(future, deadline) for future in asked)
    return Health(
        database=has_worker is not None,
        redis=redis_answered is not None,
        has_worker=bool(has_worker),
    )


def _wait(future: Future[bool | None], deadline: float) -> bool | None:
    try:
        return future.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return None
