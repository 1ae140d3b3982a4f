"""The peak memory of one attempt: a process keeps only its own, so it is reset in between."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

# Attempts that hold no more than this above each other share one mark.
SLACK_BYTES = 8 * 1024 * 1024
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
# Linux says of a thread the peak of its process, in half the time: it sums up nothing else.
_OWN = resource.RUSAGE_THREAD if sys.platform == "linux" else resource.RUSAGE_SELF


class PeakMemory:
    """The high-water mark of this process, attempt by attempt; all in bytes."""

    def __init__(self) -> None:
        self._highest = 0
        self._mark = 0
        self._before = 0  # what was held when the mark was set
        self._last = 0  # the latest reading

    def begin(self) -> int:
        """Begin an attempt.

        Returns:
            What earlier attempts have left. A higher peak of the dead process, its children that
            were waited for included, is this attempt's; another may be theirs.
        """
        if self._last - self._before > SLACK_BYTES or not self._last:
            self._highest = max(self._highest, self._read())
            self._mark = 0 if _reset() else self._highest
            self._before = self._read()
        return max(self._mark, _peak_bytes(resource.RUSAGE_CHILDREN))

    def of_attempt(self) -> int | None:
        """Return the most that was held in the attempt that has just ended; None where unknown.

        Up to SLACK_BYTES of it may be an earlier attempt's.
        """
        peak = self._read()
        return peak if peak > self._mark else None

    def highest(self) -> int:
        """Return the most that this process has held."""
        return max(self._highest, self._read())

    def _read(self) -> int:
        self._last = _peak_bytes(_OWN)
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
