"""The measured jobs as job classes; every option is the default."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks import work
from jobs.base import BaseJob


class Echo(BaseJob):
    """Do nothing."""

    value: str

    def _perform(self) -> Any:
        return work.echo(self.value)


class Burn(BaseJob):
    """Spend so many milliseconds of CPU time."""

    value: float

    def _perform(self) -> Any:
        return work.burn(self.value)


class Tell(BaseJob):
    """Note when it began."""

    value: int

    def _perform(self) -> Any:
        at_ns = time.monotonic_ns()
        return work.tell(self.value, at_ns)


class Wait(BaseJob):
    """Wait for so many seconds, beside others."""

    value: float

    async def _perform(self) -> Any:
        work.begin()
        await asyncio.sleep(self.value)
        return {"value": self.value}
