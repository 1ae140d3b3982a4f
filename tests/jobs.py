"""The job classes every test uses; a worker process finds them as any app's."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import Any

from django.db import connection

from jobs.base import BaseJob
from jobs.errors import Cancel, Snooze
from jobs.retry import Backoff


class Echo(BaseJob):
    """Return what it was given."""

    value: str = ""

    def _perform(self) -> Any:
        return {"value": self.value}


class Secretive(BaseJob):
    """Fail with its password in the error's text."""

    redact = ("password",)
    max_attempts = 1

    user: str
    password: str

    def _perform(self) -> Any:
        raise ValueError(f"{self.user} can't log in with {self.password}")


class FailTwice(BaseJob):
    """Fail on the first two attempts."""

    max_attempts = 3
    backoff = Backoff(base=timedelta(seconds=0.2), cap=timedelta(seconds=1))

    def _perform(self) -> Any:
        if self.attempt < 3:
            raise ConnectionError(f"no answer on attempt {self.attempt}")
        return {"attempts": self.attempt}


class AlwaysFail(BaseJob):
    """Fail on its only attempt."""

    max_attempts = 1

    def _perform(self) -> Any:
        raise RuntimeError("this always fails")


class SnoozeOnce(BaseJob):
    """Snooze until the row shows that it has snoozed."""

    seconds: float = 0.2
    mark: str = "snoozed"

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM job_attempts WHERE job_id = %s", [self.job_id])
            if cursor.fetchone()[0] == 0:
                raise Snooze(timedelta(seconds=self.seconds))
        return {"attempt": self.attempt}


class CancelItself(BaseJob):
    """Cancel itself with a reason."""

    def _perform(self) -> Any:
        raise Cancel("nothing to do today")


class Sleep(BaseJob):
    """Sleep; interruptible as any Python code."""

    timeout = timedelta(seconds=60)

    seconds: float

    def _perform(self) -> Any:
        time.sleep(self.seconds)
        return {"slept": self.seconds}


class KillItself(BaseJob):
    """Die by a signal, as the kernel's out-of-memory killer would do it."""

    max_attempts = 1

    signal_number: int = int(signal.SIGKILL)

    def _perform(self) -> Any:
        os.kill(os.getpid(), self.signal_number)
        time.sleep(60)
