"""Threads that do what async jobs can't await: sync code, and with it the ORM.

Each call finds its thread's connections whole and leaves them clean, since the next is another's.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.processes.connection import discard, unit_of_work
from jobs.runner.lane.steps import current
from jobs.runner.watch import cancel_statement

# The loop's own questions; nothing of a job goes on while they wait for their answer.
_HARMLESS = (socket.getaddrinfo, socket.getnameinfo)


class Call:
    """One call of a job's sync code, in some thread.

    Args:
        function: What to call.
        is_stopped: Whether the attempt it belongs to has been told to stop.
    """

    def __init__(self, function: Callable[[], Any], *, is_stopped: Callable[[], bool]) -> None:
        self._function = function
        self._is_stopped = is_stopped
        self._lock = threading.Lock()
        self._connections: Sequence[BaseDatabaseWrapper] = ()

    def __call__(self) -> Any:
        """Do it, in this thread."""
        runner_pid = os.getpid()
        with unit_of_work():
            with self._lock:
                self._connections = connections.all()
            try:
                return self._function()
            finally:
                if os.getpid() != runner_pid:
                    os._exit(0)  # a child that the job forked came back: the call is its parent's
                with self._lock:  # no statement is cancelled after this
                    self._connections = ()
                if self._is_stopped():
                    # The connection may have a late cancel on its way to it.
                    for wrapper in connections.all(initialized_only=True):
                        discard(wrapper)
                reset_queries()  # with DEBUG on Django keeps every statement

    def press(self) -> None:
        """Cancel the statement that it waits for; from another thread."""
        with self._lock:
            for wrapper in self._connections:
                cancel_statement(wrapper.connection)


class _Hand(ThreadPoolExecutor):
    """One thread, for the attempts that have their seat there."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="hand")
        self.seats = 0


class Hands:
    """The threads of all attempts of one runner, made when they are needed.

    Args:
        count: At most so many, each with a connection of its own.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._hands: list[_Hand] = []

    def seat(self) -> _Hand:
        """Return the thread with the fewest attempts; in the loop's thread."""
        idlest = min(self._hands, key=lambda hand: hand.seats, default=None)
        if idlest is None or (idlest.seats and len(self._hands) < self._count):
            idlest = _Hand()
            self._hands.append(idlest)
        idlest.seats += 1
        return idlest

    def close(self) -> None:
        """End the threads, and with them their connections."""
        for hand in self._hands:
            hand.submit(connections.close_all)
            hand.shutdown()


class Seat(Executor):
    """One attempt's place at a thread: what must not change its thread doesn't (the ORM, say)."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._hand: _Hand | None = None

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As an executor's; in the loop's thread."""
        if self._hand is None:
            self._hand = self._hands.seat()
        hand = self._hand
        return _noted(lambda: function(*args, **kwargs), hand.submit)

    def leave(self) -> None:
        """Give the place up: the attempt is over."""
        if self._hand is not None:
            self._hand.seats -= 1
            self._hand = None


class SpareHands(ThreadPoolExecutor):
    """The loop's default executor: asyncio.to_thread, and what need not keep to one thread."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As an executor's; in the loop's thread."""
        if function in _HARMLESS:
            return super().submit(function, *args, **kwargs)
        return _noted(lambda: function(*args, **kwargs), super().submit)


def _noted(function: Callable[[], Any], give: Callable[[Call], Future[Any]]) -> Future[Any]:
    owner = current.get()
    if owner is None:
        return give(Call(function, is_stopped=lambda: False))
    call = Call(function, is_stopped=lambda: owner.reason is not None)
    future = give(call)
    owner.calls[future] = call.press
    future.add_done_callback(lambda done: owner.calls.pop(done, None))
    return future
