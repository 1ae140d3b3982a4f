"""The sync job classes of a chaos run, and with them all: this is the module that is discovered."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db import connection

from jobs.errors import Cancel, Snooze
from tests.chaos import async_jobs, imports  # noqa: F401 - for all who find this module
from tests.chaos.traced import Traced

TABLES = """
    CREATE TABLE chaos_writes (job_id uuid NOT NULL, claim int NOT NULL);
    CREATE TABLE chaos_marks (job_id uuid NOT NULL, claim int NOT NULL);
"""
"""Of atomic jobs, and of jobs that write without a transaction. No constraint hides a double."""


class Quick(Traced):
    """Return at once."""

    def _work(self) -> Any:
        return {"token": self.token}


class Slow(Traced):
    """Take a while and say how far it is."""

    seconds: float

    def _work(self) -> Any:
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            self.progress(int((self.seconds - left) * 100), int(self.seconds * 100), "on it")
            time.sleep(min(0.1, left))
        return {"slept": self.seconds}


class Flaky(Traced):
    """Fail on the first attempts."""

    failing: int

    def _work(self) -> Any:
        if self.attempt <= self.failing:
            raise ConnectionError(f"attempt {self.attempt} has no luck")
        return {"attempt": self.attempt}


class Frail(Traced):
    """Fail for good at first, and do well when a person retries it."""

    max_attempts = 1

    def _work(self) -> Any:
        if self.attempt == 1:
            raise ConnectionError("it needs somebody to try it again")
        return None


class Doomed(Traced):
    """Fail always."""

    max_attempts = 2

    def _work(self) -> Any:
        raise RuntimeError("this never works")


class Overlong(Traced):
    """Outlast its timeout."""

    max_attempts = 2
    timeout = timedelta(seconds=0.5)

    def _work(self) -> Any:
        time.sleep(60)


class Snoozer(Traced):
    """Snooze until the attempts show that it has."""

    seconds: float

    def _work(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM job_attempts WHERE job_id = %s AND outcome = 'snoozed'",
                [self.job_id],
            )
            if cursor.fetchone()[0] == 0:
                raise Snooze(timedelta(seconds=self.seconds))
        return None


class Quitter(Traced):
    """Cancel itself."""

    def _work(self) -> Any:
        raise Cancel("it has changed its mind")


class Booking(Traced):
    """Write a row in the same commit as its own end; fail on the first attempts after the write."""

    atomic = True

    seconds: float = 0.0
    failing: int = 0

    def _work(self) -> Any:
        self._write_into("chaos_writes")
        time.sleep(self.seconds)
        if self.attempt <= self.failing:
            raise ConnectionError(f"attempt {self.attempt} has no luck after its write")
        return None


class Mark(Traced):
    """Write a row that is committed at once."""

    seconds: float = 0.0

    def _work(self) -> Any:
        self._write_into("chaos_marks")
        time.sleep(self.seconds)
        return None


class Once(Traced):
    """Have one attempt, and so never run twice."""

    max_attempts = 1

    seconds: float = 0.0

    def _work(self) -> Any:
        time.sleep(self.seconds)
        return None


class Ticked(Traced):
    """Be what the schedules make."""

    def _work(self) -> Any:
        return self.logical_time.isoformat() if self.logical_time else None
