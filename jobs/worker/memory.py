"""The peak memory of one attempt: a process keeps only its own, so it is reset in between."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time

# Attempts that hold no more than this above each other share one mark.
SLACK_BYTES = 8 * 1024 * 1024
# In so short a time a process can't be given much more than that: the reading before holds.
QUICK_SECONDS = 0.001
# A reading asks each thread of the process, and takes some 10 microseconds.
FRESH_SECONDS = 0.1
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class PeakMemory:
    """The high-water mark of this process, attempt by attempt; all in bytes."""

    def __init__(self) -> None:
        self._highest = 0
        self._mark = 0
        self._before = 0  # what was held when the mark was set
        self._last = 0  # the latest reading
        self._read_at = 0.0  # time.monotonic()
        self._childrens_mark = 0

    def begin(self) -> int:
        """Begin an attempt, the first of its batch.

        Returns:
            What earlier attempts have left. A higher peak of the dead process, its children that
            were waited for included, is this attempt's; another may be theirs.
        """
        self._childrens_mark = _peak_bytes(resource.RUSAGE_CHILDREN)
        return self.begin_next()

    def begin_next(self) -> int:
        """Begin the next attempt of a batch; returns what `begin` does.

        Children of the batch's earlier attempts are not in it: a peak of theirs seems this one's.
        """
        if self._last - self._before > SLACK_BYTES or not self._last:
            self._highest = max(self._highest, self._read())
            self._mark = 0 if _reset() else self._highest
            self._before = self._read()
        return max(self._mark, self._childrens_mark)

    def of_attempt(self, seconds: float) -> int | None:
        """Return the most that was held in an attempt that took so long; None where unknown.

        Up to SLACK_BYTES of it may be an earlier attempt's.
        """
        peak = self._last if seconds < QUICK_SECONDS else self._read()
        return peak if peak > self._mark else None

    def highest(self) -> int:
        """Return the most that this process has held, as of at most FRESH_SECONDS ago."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            self._read()
        return max(self._highest, self._last)

    def _read(self) -> int:
        self._read_at = time.monotonic()
        self._last = _peak_bytes(resource.RUSAGE_SELF)
        return self._last


def _peak_bytes(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * _UNIT_BYTES


def _reset() -> bool:
    # proc(5): "5" sets the mark down to what the process holds now. Elsewhere, or where /proc can't
    # be written, the mark stays.
    with contextlib.suppress(OSError):
        mark = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            return os.write(mark, b"5") == 1
        finally:
            os.close(mark)
    return False
