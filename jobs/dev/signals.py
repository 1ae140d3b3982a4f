"""Signals as facts a loop can look at: who asked for the end, and how often."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ECHO_SECONDS = 0.5
"""`make` hands SIGTERM on to a child that may have got it already: one request, not two."""

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Counts the requests to stop, and wakes the loop that waits on `wakes`."""

    def __init__(self) -> None:
        self.count = 0
        self.last: signal.Signals | None = None
        self._last_at = -math.inf
        self.wakes, self._write_end = os.pipe()
        os.set_blocking(self.wakes, False)
        os.set_blocking(self._write_end, False)

    def forget(self) -> None:
        """Take back the requests so far."""
        self.count, self.last, self._last_at = 0, None, -math.inf

    def clear_wakes(self) -> None:
        """Forget why the loop woke; it looks at everything anyway."""
        os.read(self.wakes, 4096)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the stopping signals, and wake at a child's death, inside the block."""
        before = {
            number: signal.signal(number, self._note)
            for number in _STOPPING
            # `nohup` has its reasons.
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _do_nothing)
        wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_at > ECHO_SECONDS:
            self.count += 1
        self._last_at = now
        self.last = signal.Signals(number)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    # SIGCHLD without a handler would not wake the loop.
    pass
