"""The peak memory of one attempt: a process keeps only its own, so it is reset before each."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class PeakMemory:
    """The high-water mark of this process, attempt by attempt; all in bytes."""

    def __init__(self) -> None:
        self._highest = 0
        self._mark = 0

    def begin(self) -> int:
        """Begin an attempt: five system calls, 5 microseconds.

        Returns:
            What earlier attempts have left. A higher peak of the dead process, its children that
            were waited for included, is this attempt's; another may be theirs.
        """
        self._highest = self.highest()
        self._mark = 0 if _reset() else self._highest
        return max(self._mark, _peak_bytes(resource.RUSAGE_CHILDREN))

    def of_attempt(self) -> int | None:
        """Return the most that was held since `begin`; None where that can't be told."""
        peak = _peak_bytes(resource.RUSAGE_SELF)
        return peak if peak > self._mark else None

    def highest(self) -> int:
        """Return the most that this process has ever held."""
        return max(self._highest, _peak_bytes(resource.RUSAGE_SELF))


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
