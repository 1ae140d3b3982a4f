"""Leave Redis alone while it is away; a thread beside the callers asks when it is back."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time

from jobs.broker import client

logger = logging.getLogger("jobs.dispatch")

# Between two questions of the probe, give or take half of it: not all processes at one moment.
PROBE_SECONDS = 1.0


class Breaker:
    """Whether this process leaves Redis alone; open from a failed call until Redis takes writes.

    While it is open no caller tries: one dispatch has paid for the outage, the others pay nothing.
    The probe is one daemon thread, and only while it is open. A forked child inherits the state but
    not the thread, and starts its own when it next asks.
    """

    def __init__(self) -> None:
        self._tripped_at: float | None = None  # time.monotonic()
        self._closed_at = 0.0  # the same
        self._probe: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether to leave Redis alone."""
        if self._tripped_at is None:
            return False
        self._keep_probing()
        return True

    def trip(self, *, asked_at: float | None = None) -> None:
        """Leave Redis alone from now on: it didn't answer.

        Args:
            asked_at: When it was asked, by time.monotonic(), if not just now: what it missed before
                it took writes again says nothing of now.
        """
        if asked_at is not None and asked_at < self._closed_at:
            return
        if self._tripped_at is None:
            self._tripped_at = time.monotonic()
        self._keep_probing()

    def close(self) -> None:
        """Let everybody try again."""
        self._closed_at = time.monotonic()
        self._tripped_at = self._probe = None

    def _keep_probing(self) -> None:
        # No lock: a child forked while another thread held it could never dispatch again. Of two
        # probes started at one moment the one that isn't remembered ends by itself.
        if self._probe is None or not self._probe.is_alive():
            self._probe = threading.Thread(target=self._ask, name="redis probe", daemon=True)
            with contextlib.suppress(
                RuntimeError
            ):  # this process ends, or may have no more threads
                self._probe.start()

    def _ask(self) -> None:
        while True:
            time.sleep(PROBE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            if self._probe is not threading.current_thread():
                return
            try:
                client.try_write()
            except client.Unreachable:
                continue
            away_seconds = time.monotonic() - (self._tripped_at or time.monotonic())
            self.close()
            logger.warning(
                "Redis answers again after %.0f s; the relay pushes what was dispatched meanwhile",
                away_seconds,
            )
            return
