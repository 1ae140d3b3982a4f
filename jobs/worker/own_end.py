"""When a worker ends by itself: --burst, --max-jobs, --max-idle-time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jobs.worker.options import Options
from jobs.worker.ration import Ration
from jobs.worker.slot import Slot


class OwnEnd:
    """What the options say of one worker's end."""

    def __init__(self, options: Options, *, slots: Sequence[Slot], ration: Ration) -> None:
        self._options = options
        self._slots = slots
        self._ration = ration
        self._busy_at = time.monotonic()

    def note_work(self, at: float) -> None:
        """Note that a runner had work at this moment, by time.monotonic()."""
        self._busy_at = max(self._busy_at, at)

    @property
    def next_at(self) -> float | None:
        """When it ends for want of work, by time.monotonic(); None while a runner has some."""
        idle_seconds = self._options.max_idle_seconds
        if idle_seconds is None or any(slot.announced for slot in self._slots):
            return None
        return self._busy_at + idle_seconds

    def reason(self) -> str:
        """Return why the worker ends now; "" when it doesn't."""
        if self._options.burst and all(self._is_out_of_work(slot) for slot in self._slots):
            return "the queues are empty"
        if self._ration.is_used_up(self._slots):
            return f"it has run {self._options.max_jobs} job(s)"
        next_at = self.next_at
        if next_at is not None and time.monotonic() >= next_at:
            return f"no job for {self._options.max_idle_seconds:g} s"
        return ""

    def _is_out_of_work(self, slot: Slot) -> bool:
        # Asked in this order: what it claims meanwhile is seen.
        rests = slot.is_idle or self._ration.lets_rest(slot)
        return slot.pid is not None and rests and not slot.announced
