"""The database connection for one unit of work: whole before, clean after."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from jobs import conf

# A connection idle for longer is asked whether it still stands: one round trip. A busy one isn't.
CHECK_AFTER_SECONDS = 5.0
# So long whoever watches over others waits for a row or a table that is locked.
LOCK_MILLISECONDS = 1_000


class _LastUse(threading.local):
    at: float = 0.0  # time.monotonic()


class _Known(threading.local):
    wrappers: Sequence[BaseDatabaseWrapper] | None = None


_last_use = _LastUse()
_known = _Known()


def of_this_thread() -> Sequence[BaseDatabaseWrapper]:
    """Return this thread's connections, one for each database, open or not."""
    wrappers = _known.wrappers
    if wrappers is None:
        wrappers = _known.wrappers = connections.all()
    return wrappers


@receiver(connection_created, dispatch_uid="jobs.processes.connection")
def _forget(**_of_the_signal: object) -> None:
    # To ask Django after each job which there are costs as much as the job's params. One that has
    # been put in another's place, or is of a database that was added, is opened before it is used.
    _known.wrappers = None


class unit_of_work:  # noqa: N801 - a verb in a with statement; a class costs half of a generator
    """Hand out this thread's connections for one unit of work.

    Before: one that stood idle is checked, one that is broken or too old is replaced at its next
        use.
    After: one with an open transaction is rolled back and closed, a broken one is closed.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        if time.monotonic() - _last_use.at > CHECK_AFTER_SECONDS:
            for connection in connections.all(initialized_only=True):
                connection.health_check_done = False  # type: ignore[attr-defined]  # stubs lack it
                connection.close_if_unusable_or_obsolete()

    def __exit__(self, *_error: object) -> None:
        for connection in of_this_thread():
            if not _is_clean(connection):
                discard(connection)
        _last_use.at = time.monotonic()


def keep_warm() -> None:
    """Do now what this thread's next unit of work would have to do first, if none was for a while.

    For whoever waits for work: open connections are checked, those that are broken or too old are
    replaced, the default one is opened. At most once in CHECK_AFTER_SECONDS; where the server is
    away the next unit of work will find out.
    """
    if time.monotonic() - _last_use.at <= CHECK_AFTER_SECONDS:
        return
    wrappers = connections.all(initialized_only=True)
    in_use = [wrapper for wrapper in wrappers if wrapper.connection is not None]
    with contextlib.suppress(DatabaseError, InterfaceError), unit_of_work():
        for wrapper in {connections[DEFAULT_DB_ALIAS], *in_use}:
            wrapper.close_if_health_check_failed()
            wrapper.ensure_connection()


def configure(connection: BaseDatabaseWrapper, **settings: int) -> None:
    """Have sessions that `connection` opens from now on begin with these; behind a pooler none.

    Args:
        connection: Not yet open. All threads of a process share its alias's configuration.
        settings: PostgreSQL's parameters; times in milliseconds.
    """
    if conf.current().behind_pooler:
        return
    options = connection.settings_dict.setdefault("OPTIONS", {})
    words = [options.get("options", ""), *(f"-c {name}={settings[name]}" for name in settings)]
    options["options"] = " ".join(words).strip()


def discard(connection: BaseDatabaseWrapper) -> None:
    """Close `connection` whatever state it is in; Django opens a new one when it is next used."""
    raw = connection.connection
    connection.connection = None
    connection.in_atomic_block = False
    connection.atomic_blocks = []
    connection.savepoint_ids = []
    connection.needs_rollback = False
    connection.run_on_commit = []
    connection.closed_in_transaction = False
    connection.close()
    if raw is not None:
        raw.close()


def _is_clean(connection: BaseDatabaseWrapper) -> bool:
    raw = connection.connection
    if raw is None:
        return not connection.in_atomic_block
    if connection.in_atomic_block or raw.closed or not connection.autocommit:
        return False
    status: int = raw.get_transaction_status()  # known to the client, no round trip
    return status == TRANSACTION_STATUS_IDLE
