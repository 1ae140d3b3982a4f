"""The async job classes of a chaos run: many wait in one runner, and some are bad neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async

from tests.chaos.traced import Traced


class AsyncTraced(Traced):
    """As `Traced`, on the event loop."""

    abstract = True

    async def _perform(self) -> Any:
        self._note("begin")
        result = await self._wait()
        self._note("end")
        return {"claim": self._claim, "result": result}

    async def _wait(self) -> Any:
        raise NotImplementedError


class AsyncWait(AsyncTraced):
    """Wait and say how far it is, as most async jobs do."""

    seconds: float

    async def _wait(self) -> Any:
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            self.progress(int((self.seconds - left) * 100), int(self.seconds * 100), "on it")
            await asyncio.sleep(min(0.1, left))
        return {"slept": self.seconds}


class AsyncMark(AsyncTraced):
    """Write a row that is committed at once, in a thread, and wait."""

    seconds: float = 0.0

    async def _wait(self) -> Any:
        await sync_to_async(self._write_into)("chaos_marks")
        await asyncio.sleep(self.seconds)


class AsyncOnce(AsyncTraced):
    """Have one attempt, and so never run twice."""

    max_attempts = 1

    seconds: float = 0.0

    async def _wait(self) -> Any:
        await asyncio.sleep(self.seconds)


class AsyncFlaky(AsyncTraced):
    """Fail on the first attempts."""

    failing: int

    async def _wait(self) -> Any:
        await asyncio.sleep(0)
        if self.attempt <= self.failing:
            raise ConnectionError(f"attempt {self.attempt} has no luck")


class AsyncOverlong(AsyncTraced):
    """Outlast its timeout."""

    max_attempts = 2
    timeout = timedelta(seconds=0.5)

    async def _wait(self) -> Any:
        await asyncio.sleep(60)


class AsyncHold(AsyncTraced):
    """Hold the event loop on the first attempt: for a moment, or until its runner is killed."""

    seconds: float

    async def _wait(self) -> Any:
        await asyncio.sleep(0.05)
        if self.attempt == 1:
            time.sleep(self.seconds)


class AsyncDeaf(AsyncTraced):
    """Outlast its timeout, and hear nothing of it on the first attempt: its runner is killed."""

    max_attempts = 2
    timeout = timedelta(seconds=0.5)

    async def _wait(self) -> Any:
        until = time.monotonic() + 30
        while self.attempt == 1 and time.monotonic() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
        await asyncio.sleep(0)
