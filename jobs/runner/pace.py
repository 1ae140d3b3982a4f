"""How many jobs a runner takes at once: as many as surely fit into 50 ms."""

from __future__ import annotations

# A batch that is older is broken up (clerk.py): so much work a killed runner may repeat, so long a
# slow job may hold up another's start or result.
BATCH_SECONDS = 0.05


class Pace:
    """The size of the next batch: 1, 2, 4 ... as long as batches stay short.

    Args:
        limit: The most; 1 switches batches off.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 1

    def note(self, count: int, *, seconds: float) -> None:
        """Note that the last batch ran `count` jobs, at least one, in `seconds` altogether."""
        fit = int(BATCH_SECONDS * count / max(seconds, 1e-9))
        self.size = max(1, min(2 * count, fit, self._limit))
