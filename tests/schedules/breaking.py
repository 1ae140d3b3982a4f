"""Job classes that break where nobody foresees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from jobs.base import BaseJob


class BreakAtDispatch(BaseJob):
    """Raise what nobody foresaw as soon as its params are checked."""

    redact = ("secret",)

    secret: str

    def __post_init__(self) -> None:
        raise RuntimeError(f"what is {self.secret}?")

    def _perform(self) -> Any:
        return None


class LoseDatabase(BaseJob):
    """Have the database crash between the check of the params and the job's row, once."""

    crash: ClassVar[list[Callable[[], None]]] = []

    def __post_init__(self) -> None:
        if self.crash:
            self.crash.pop()()

    def _perform(self) -> Any:
        return None


class CheckSlowly(BaseJob):
    """Take some time to have its params checked, as one does that asks somebody else."""

    takes_seconds: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        time.sleep(self.takes_seconds)

    def _perform(self) -> Any:
        return None
