"""A warning that could come with every job: said once a minute, with how often it was meant."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

SAY_SECONDS = 60.0


class Seldom:
    """Says the first at once, and of the others of a minute only how many they were.

    Args:
        log: Where to say it.
        text: With one %s for the error, or for whatever is to be told of it.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self, log: logging.Logger, text: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._text = text
        self._monotonic = monotonic
        self._said_at: float | None = None
        self._unsaid = 0

    @property
    def is_due(self) -> bool:
        """Whether a warning would be said now: who has to look up what it tells may leave it."""
        return self._is_due(self._monotonic())

    def warn(self, error: object) -> None:
        """Say it, or count it."""
        now = self._monotonic()
        if not self._is_due(now):
            self._unsaid += 1
            return
        more = f", and {self._unsaid} more of the last minute" if self._unsaid else ""
        self._said_at, self._unsaid = now, 0
        self._log.warning(self._text + "%s", error, more)

    def _is_due(self, now: float) -> bool:
        return self._said_at is None or now - self._said_at >= SAY_SECONDS
