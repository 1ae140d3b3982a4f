"""A server that is away: how long to wait for it, and what to say of it, once a minute."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError

from jobs.broker.client import Unreachable
from jobs.models import refusals

# Whatever PostgreSQL or Redis does, a runner waits and tries again.
OUTAGES = (DatabaseError, InterfaceError, Unreachable)
# What ends by itself: a server is down, hangs, restarts, or is read-only in a failover.
_POSTGRESQL_AWAY = (OperationalError, InterfaceError, InternalError)

FIRST_SECONDS = 0.2
CAP_SECONDS = 5.0
SAY_SECONDS = 60.0
TRIES = 5  # of what PostgreSQL refuses; over some three seconds
HANGS_SECONDS = 5.0  # a question that is open for so long is an outage as well


class Outage:
    """One server, as one loop of this process sees it.

    Args:
        server: Its name, for people.
        who: Which loop, for people.
        log: Where to say it.
    """

    trouble = "doesn't answer%s, waiting for it"

    def __init__(self, server: str, *, who: str, log: logging.Logger) -> None:
        self._server = server
        self._who = who
        self._log = log
        # All by time.monotonic().
        self._began_at: float | None = None
        self._said_at: float | None = None  # kept after its end: one that flaps is said seldom too
        self._asked_at: float | None = None
        self._is_said = False

    @property
    def is_on(self) -> bool:
        """Whether the last try failed."""
        return self._began_at is not None

    def failed(self, error: Exception) -> float:
        """Note a failed try. Returns how many seconds to wait before the next.

        As long as the outage has lasted so far, which doubles the wait each time; at most
        CAP_SECONDS; less a random part, so that not all come at once when the server is back.
        """
        now = time.monotonic()
        if self._began_at is None:
            self._began_at = now
        self._say(now, first_line(error))
        longest = min(CAP_SECONDS, max(FIRST_SECONDS, now - self._began_at))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret

    def answered(self) -> None:
        """Note that the server answers."""
        if self._is_said and self._began_at is not None:
            seconds = time.monotonic() - self._began_at
            self._log.warning(
                "%s: %s answers again, after %.1f s", self._who, self._server, seconds
            )
        self._began_at, self._is_said = None, False

    @contextmanager
    def question(self) -> Iterator[None]:
        """Within, the loop asks the server and may hang; `look` sees it."""
        self._asked_at = time.monotonic()
        try:
            yield
        finally:
            self._asked_at = None

    def look(self) -> None:
        """Say so if a question has been open for too long; from a thread that doesn't hang."""
        now, asked_at = time.monotonic(), self._asked_at
        if asked_at is not None and now - asked_at >= HANGS_SECONDS:
            self._began_at = self._began_at or asked_at
            self._say(now, "a question is open")

    def _say(self, now: float, why: str) -> None:
        if self._said_at is not None and now - self._said_at < SAY_SECONDS:
            return
        self._said_at, self._is_said = now, True
        seconds = now - (self._began_at or now)
        since = f" for {seconds:.0f} s" if seconds >= 1 else ""
        trouble = self.trouble % since
        self._log.warning("%s: %s %s: %s", self._who, self._server, trouble, why)


class Refusal(Outage):
    """A server that answers, and says no: to a trigger's taste, or for want of a column.

    It ends when nothing was refused for a while: who asks for something else is answered.
    """

    trouble = "refuses what it is asked%s, a person is needed"
    _failed_at = 0.0

    def failed(self, error: Exception) -> float:
        """Note a refusal. Returns how many seconds to wait before anything is asked again."""
        if time.monotonic() - self._failed_at > 2 * CAP_SECONDS:
            self._began_at = None
        seconds = super().failed(error)
        self._failed_at = time.monotonic() + seconds
        return seconds


class Tries:
    """The tries of one task: while PostgreSQL is away without end, of what it refuses only a few.

    Args:
        postgresql: The outage, as the loop sees it that tries.
    """

    def __init__(self, postgresql: Outage) -> None:
        self._postgresql = postgresql
        self._refusals = 0

    def failed(self, error: Exception) -> float | None:
        """Note a failed try. Returns how many seconds to wait before the next; None: give up."""
        if is_postgresql_away(error):
            return self._postgresql.failed(error)
        self._postgresql.answered()
        self._refusals += 1
        return FIRST_SECONDS * 2.0**self._refusals / 2 if self._refusals < TRIES else None


class Outages:
    """Both servers, as one loop of this process sees them.

    Args:
        who: Which loop, for people.
        log: Where to say it.
    """

    def __init__(self, who: str, *, log: logging.Logger) -> None:
        self.postgresql = Outage("PostgreSQL", who=who, log=log)
        self.redis = Outage("Redis", who=who, log=log)
        self.refusal = Refusal("PostgreSQL", who=who, log=log)

    def of(self, error: Exception) -> Outage:
        """Return the outage that `error` belongs to."""
        if isinstance(error, Unreachable):
            return self.redis
        return self.postgresql if is_postgresql_away(error) else self.refusal


def is_postgresql_away(error: BaseException) -> bool:
    """Whether `error` says that PostgreSQL is away, not what it thinks of a statement."""
    if refusals.is_of_a_row(error):  # a trigger's is an InternalError as well
        return False
    # A crash under a statement comes as the bare class; what a server answers has classes of its
    # own.
    return isinstance(error, _POSTGRESQL_AWAY) or type(error) is DatabaseError


def is_away(error: Exception) -> bool:
    """Whether `error` says that one of the servers is away."""
    return is_postgresql_away(error) or isinstance(error, Unreachable)


def first_line(error: Exception) -> str:
    """Return what `error` says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
