"""Where the supervisor's main thread waits: for sockets, signals and the words of other threads."""

from __future__ import annotations

import contextlib
import queue
import select
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Any

# A name, and what belongs to it.
Event = tuple[str, Any]


class Inbox:
    """`tell` is for any thread; everything else for the main one."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._bell, self._ring = socket.socketpair()
        for end in (self._bell, self._ring):
            end.settimeout(0)

    def tell(self, event: Event) -> None:
        """Leave an event, and wake the main thread."""
        self._events.put(event)
        with contextlib.suppress(BlockingIOError):
            self._ring.send(b"!")

    def catch_signals(self, heed: Callable[[], None]) -> None:
        """Have `heed` called at SIGTERM and SIGINT, and `wait` return."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: heed())
        signal.set_wakeup_fd(self._ring.fileno(), warn_on_full_buffer=False)

    def wait(self, ends: Iterable[socket.socket], *, seconds: float) -> list[socket.socket]:
        """Return those of `ends` that can be read; none after `seconds`, an event or a signal."""
        ready, _, _ = select.select([self._bell, *ends], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass
        return [end for end in ready if end is not self._bell]

    def events(self) -> list[Event]:
        """Return what has been told, oldest first."""
        told = []
        with contextlib.suppress(queue.Empty):
            while True:
                told.append(self._events.get_nowait())
        return told

    def close(self) -> None:
        """Stop listening for signals' bytes."""
        signal.set_wakeup_fd(-1)
