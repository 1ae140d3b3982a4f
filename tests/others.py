"""Other people at the same rows: threads and transactions with connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, connections

from jobs.models import JobStatus
from tests import wait

T = TypeVar("T")


def at_once(work: Callable[[], T]) -> Future[T]:
    """Do `work` in a thread with its own connections; `.result(30)` is what came of it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the test sees it in `result`
            future.set_exception(error)
        finally:
            connections.close_all()

    threading.Thread(target=run, daemon=True).start()
    return future


@contextmanager
def elsewhere() -> Iterator[Any]:
    """An open transaction of somebody else: a cursor. What isn't committed there is rolled back.

    It never notices a deadlock, and so is never its victim.
    """
    wrapper = connection.copy("elsewhere")
    wrapper.inc_thread_sharing()
    try:
        with wrapper.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL deadlock_timeout = '60s'")
            yield cursor
            cursor.execute("ROLLBACK")
    finally:
        wrapper.close()


def lock(cursor: Any, *jobs: JobStatus) -> None:
    """Lock these rows, in this order."""
    for job in jobs:
        cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [job.id])


def until_blocked(count: int = 1) -> None:
    """Return when so many others wait for a lock in this database."""
    wait.until(f"{count} waiting for a lock", lambda: len(blocked()) >= count)


def blocked() -> list[int]:
    """Return the backends that wait for a lock in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees its first look
        cursor.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [pid for (pid,) in cursor.fetchall()]
