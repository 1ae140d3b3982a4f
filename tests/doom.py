"""A scheduler that dies, or stops, at a chosen point of a tick: its environment says where."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

VARIABLE = "TEST_DOOM"
COMMIT, COMMITTED = "commit", "committed"

# Of a tick that makes something: claim, clock, runs, jobs, link, move on; before each of them.
STATEMENTS = ("2", "3", "4", "5", "6", "7")
POINTS = (*STATEMENTS, COMMIT, COMMITTED)

_FIRST = "idle_in_transaction_session_timeout"  # what a tick's transaction begins with
_THREAD = "ticks"
_MAKES_SOMETHING = 4  # so many statements has a tick that finds something due, and more


class Doom:
    """Counts what the ticks ask of the database, from the beginning of each transaction."""

    def __init__(self, number: signal.Signals, point: str) -> None:
        self._signal = number
        self._point = point
        self._count: int | None = None  # None: outside of a tick

    def execute(self, execute: Any, sql: Any, params: Any, *rest: Any) -> Any:
        """Stand around each statement."""
        if threading.current_thread().name == _THREAD:
            if _FIRST in f"{params}":
                self._count = 0
            if self._count is not None:
                self._count += 1
                self._strike_at(str(self._count))
        return execute(sql, params, *rest)

    def commit(self, wrapper: BaseDatabaseWrapper) -> None:
        """Stand around each commit."""
        if threading.current_thread().name != _THREAD:
            _commit(wrapper)
            return
        makes_something = self._count is not None and self._count >= _MAKES_SOMETHING
        if makes_something:
            self._strike_at(COMMIT)
        _commit(wrapper)
        self._count = None
        if makes_something:
            self._strike_at(COMMITTED)

    def _strike_at(self, point: str) -> None:
        if point == self._point:
            self._point = ""
            os.kill(os.getpid(), self._signal)


_commit = BaseDatabaseWrapper._commit


def arm() -> None:
    """Do to this process what its environment says: "SIGKILL:5", "SIGSTOP:commit"."""
    name, _, point = os.environ.get(VARIABLE, "").partition(":")
    if not name:
        return
    doom = Doom(signal.Signals[name], point)

    def surround(connection: BaseDatabaseWrapper, **_: object) -> None:
        connection.execute_wrappers.append(doom.execute)

    connection_created.connect(surround, weak=False)

    def commit(self: BaseDatabaseWrapper) -> None:
        doom.commit(self)

    BaseDatabaseWrapper._commit = commit
