"""Push and go on: on a connection of each thread's own, the answer is read before its next push."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from hiredis import pack_command
from redis import ConnectionPool
from redis.exceptions import RedisError, ResponseError

from jobs.broker import client, push
from jobs.broker.push import Entry


class Line:
    """A connection on which one push at most waits for its answer.

    Redis does what it has been sent, whatever becomes of who sent it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        # Not one of the pool's own: whoever took it there would find an answer that isn't theirs.
        self._connection: Any = pool.connection_class(**pool.connection_kwargs)
        self.unheard: Sequence[Entry] = ()
        self.sent_at = 0.0  # time.monotonic()

    def send(self, entries: Sequence[Entry]) -> None:
        """Push entries, once `hear` has been called; the first push on a connection waits.

        So a wrong address or password, or a server that can't work, is seen before it is trusted.

        Args:
            entries: Oldest first; push.MAX_AT_ONCE of them at most.

        Raises:
            RedisError: It can't be sent; or it is the first, and its answer is an error or missing.
        """
        call = push.call(entries)
        is_new = not self._is_open()
        self.sent_at = time.monotonic()
        # As its send_command does, which looks at each of thousands of words in Python first.
        self._connection.send_packed_command(
            [pack_command(("EVALSHA", call.script.sha, *call.words))]
        )
        self.unheard = entries
        if is_new:
            self.hear()

    def hear(self) -> None:
        """Read the answer to the last push, if that is still to be read.

        Raises:
            RedisError: It is an error, and once more it was; or it doesn't come.
        """
        if not self.unheard:
            return
        entries, self.unheard = self.unheard, ()
        try:
            self._connection.read_response()
        except ResponseError:
            # Nothing of it was done then. Again, by the way that says a forgotten script in full
            # and puts aside a key of the wrong type.
            push.push(client.for_push(), entries)

    def _is_open(self) -> bool:
        """Whether it can be written to; else the next command opens it anew."""
        connection = self._connection
        try:
            # Readable, it was closed by the server, or bears an answer that a job's timeout kept
            # from being read.
            if connection.is_connected and not connection.can_read():
                return True
        except RedisError:
            pass
        connection.disconnect()
        return False


class _Held:
    """What a thread holds a line by; with the thread it ends, and the next thread has the line."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self._idle = _idle.setdefault(pool, deque())
        try:
            self.line = self._idle.pop()
        except IndexError:
            self.line = Line(pool)

    def __del__(self) -> None:
        self._idle.append(self.line)


_idle: WeakKeyDictionary[ConnectionPool, deque[Line]] = WeakKeyDictionary()
_this_thread = threading.local()


def line() -> Line:
    """Return this thread's line; a forked child's are its own."""
    pool = client.for_push().connection_pool
    held: _Held | None = getattr(_this_thread, "held", None)
    if held is None or held.pool is not pool:
        held = _this_thread.held = _Held(pool)
    return held.line
