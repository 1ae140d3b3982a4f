"""One piece of a scheduler's work, done again and again, whatever PostgreSQL does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import connections

from jobs.processes.connection import unit_of_work
from jobs.processes.outage import Outage, is_postgresql_away

logger = logging.getLogger("jobs.schedules")

_SHORTEST_WAIT_SECONDS = 0.01
_AFTER_FAULT_SECONDS = 5.0


class Rounds:
    """A loop for a thread of its own.

    Args:
        work: A round; returns how many seconds the next one may wait.
        postgresql: The outage, as this loop sees it.
    """

    def __init__(self, work: Callable[[], float], *, postgresql: Outage) -> None:
        self._work = work
        self._postgresql = postgresql

    def run(self, stopping: threading.Event) -> None:
        """Do rounds until `stopping` is set."""
        try:
            while not stopping.is_set():
                stopping.wait(self.once())
        finally:
            connections.close_all()

    def once(self) -> float:
        """Do one round and return how many seconds the next one may wait."""
        try:
            with self._postgresql.question(), unit_of_work():
                wait = self._work()
        except Exception as error:  # this loop must outlive any one round
            if is_postgresql_away(error):
                return self._postgresql.failed(error)
            logger.exception("A round of the scheduler failed: trying again")
            return _AFTER_FAULT_SECONDS
        self._postgresql.answered()
        return max(wait, _SHORTEST_WAIT_SECONDS)
