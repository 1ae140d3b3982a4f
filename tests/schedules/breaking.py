"""A job class that breaks where nobody foresees it."""

from __future__ import annotations

from typing import Any

from jobs.base import BaseJob


class BreakAtDispatch(BaseJob):
    """Raise what nobody foresaw as soon as its params are checked."""

    redact = ("secret",)

    secret: str

    def __post_init__(self) -> None:
        raise RuntimeError(f"what is {self.secret}?")

    def _perform(self) -> Any:
        return None
