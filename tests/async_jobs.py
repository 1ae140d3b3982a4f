"""The async job classes that tests use; tests/jobs.py brings them to every process."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Permission
from django.db import connection

from jobs.base import BaseJob
from jobs.errors import Cancel, Snooze
from jobs.retry import Backoff

AT_ONCE = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))
WHOSE: contextvars.ContextVar[str] = contextvars.ContextVar("tests.whose", default="nobody's")


class AsyncEcho(BaseJob):
    """Return what it was given, a step later."""

    value: str = ""

    async def _perform(self) -> Any:
        await asyncio.sleep(0)
        return {"value": self.value}


class AsyncSleep(BaseJob):
    """Wait, as most async jobs do."""

    timeout = timedelta(seconds=60)
    backoff = AT_ONCE

    seconds: float

    async def _perform(self) -> Any:
        await asyncio.sleep(self.seconds)
        return {"slept": self.seconds, "attempt": self.attempt}


class AsyncTooLong(BaseJob):
    """Wait past its timeout; hear of it, or keep that to itself, for a while or for ever."""

    timeout = timedelta(seconds=0.5)
    max_attempts = 1

    deaf: int = 0  # how often it keeps it to itself

    async def _perform(self) -> Any:
        for _ in range(self.deaf):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(0 if self.deaf else 60)
        return "slept on"


class AsyncRaise(BaseJob):
    """End in one of many ways."""

    max_attempts = 1

    what: str

    async def _perform(self) -> Any:
        await asyncio.sleep(0)
        if self.what == "nan":
            return float("nan")
        if self.what == "exit in a task":
            await asyncio.create_task(self._leave())
        raise {
            "error": ValueError("no"),
            "exit": SystemExit(3),
            "interrupt": KeyboardInterrupt(),
            "cancelled": asyncio.CancelledError(),
            "cancel": Cancel("nothing to do today"),
            "snooze": Snooze(timedelta(hours=1)),
        }[self.what]

    async def _leave(self) -> None:
        raise SystemExit(4)


class AsyncRows(BaseJob):
    """Use the database as async code may."""

    max_attempts = 1

    how: str

    async def _perform(self) -> Any:
        match self.how:
            case "awaited":
                return await Permission.objects.acount()
            case "in a thread":
                return await asyncio.to_thread(Permission.objects.count)
            case "through sync code":
                return await sync_to_async(async_to_sync(self._count))()
            case _:
                return Permission.objects.count()

    async def _count(self) -> int:
        return await Permission.objects.acount()


class AsyncStatement(BaseJob):
    """Sit in one SQL statement past its timeout."""

    timeout = timedelta(seconds=0.5)
    max_attempts = 1

    sensitive: bool = True

    async def _perform(self) -> Any:
        await sync_to_async(self._sit, thread_sensitive=self.sensitive)()

    def _sit(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")


class AsyncLeaveOpen(BaseJob):
    """Leave its thread's connection inside a transaction, and as it should not be."""

    async def _perform(self) -> Any:
        return await sync_to_async(self._leave_open)()

    def _leave_open(self) -> int:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])


class AsyncThread(BaseJob):
    """Do something in a thread that nobody can interrupt."""

    timeout = timedelta(seconds=0.3)
    max_attempts = 1

    seconds: float
    path: str

    async def _perform(self) -> Any:
        await asyncio.to_thread(self._work)

    def _work(self) -> None:
        time.sleep(self.seconds)
        Path(self.path).write_text("done")


class AsyncTell(BaseJob):
    """Say how far it is, until it is stopped."""

    timeout = timedelta(seconds=60)
    max_attempts = 1

    steps: int = 10_000
    in_a_thread: bool = False

    async def _perform(self) -> Any:
        if self.in_a_thread:
            return await asyncio.to_thread(self._tell)
        for step in range(self.steps):
            self.progress(step + 1, self.steps, "on the loop")
            await asyncio.sleep(0.01)
        return self.steps

    def _tell(self) -> None:
        for step in range(self.steps):
            self.progress(step + 1, self.steps, "in a thread")
            time.sleep(0.01)


class AsyncLeaveTasks(BaseJob):
    """Return while tasks of its own still run; a file tells that one was cancelled."""

    path: str

    async def _perform(self) -> Any:
        self.kept = asyncio.create_task(self._go_on(), name="forgotten")
        await asyncio.sleep(0)
        return "returned"

    async def _go_on(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            Path(self.path).write_text("cancelled")


class AsyncContext(BaseJob):
    """Return what a context variable holds, and set it."""

    async def _perform(self) -> Any:
        before = WHOSE.get()
        WHOSE.set(str(self.job_id))
        await asyncio.sleep(0)
        return before


class AsyncBlock(BaseJob):
    """Hold the event loop, as async code must not; on the first attempt only."""

    timeout = timedelta(seconds=60)
    backoff = AT_ONCE

    seconds: float
    how: str = "sleep"
    every: bool = False  # on every attempt

    async def _perform(self) -> Any:
        await asyncio.sleep(0.2)
        if self.attempt == 1 or self.every:
            match self.how:
                case "sleep":
                    time.sleep(self.seconds)
                case "interpreter":
                    sum(range(10**12))
                case "task":
                    await asyncio.create_task(self._hold())
                case "callback":
                    asyncio.get_running_loop().call_later(0.01, lambda: time.sleep(self.seconds))
                    await asyncio.sleep(1)
                case "reader":
                    await self._read(lambda: time.sleep(self.seconds))
                case "protocol":
                    await self._connect(lambda: time.sleep(self.seconds))
        return {"attempt": self.attempt}

    async def _hold(self) -> None:
        time.sleep(self.seconds)

    async def _read(self, callback: Callable[[], None]) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            asyncio.get_running_loop().add_reader(ours, callback)
            theirs.send(b"x")
            await asyncio.sleep(1)

    async def _connect(self, callback: Callable[[], None]) -> None:
        class Protocol(asyncio.Protocol):
            def data_received(self, _data: bytes) -> None:
                callback()

        ours, theirs = socket.socketpair()
        with ours, theirs:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(Protocol, sock=ours)
            theirs.send(b"x")
            await asyncio.sleep(1)
            transport.close()


class AsyncKill(BaseJob):
    """Kill its runner, from the loop."""

    backoff = AT_ONCE

    async def _perform(self) -> Any:
        await asyncio.sleep(0.2)
        os.kill(os.getpid(), 9)


class AsyncFork(BaseJob):
    """Fork on the loop or in a thread, and return in both processes; the child first."""

    in_a_thread: bool = False

    async def _perform(self) -> Any:
        child = await asyncio.to_thread(self._fork) if self.in_a_thread else self._fork()
        await asyncio.sleep(0)
        return "parent" if child else "child"

    def _fork(self) -> int:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return child


class AsyncResolve(BaseJob):
    """Ask for a name's address, which asyncio does in a thread."""

    async def _perform(self) -> Any:
        found = await asyncio.get_running_loop().getaddrinfo(
            "127.0.0.1", 80, type=socket.SOCK_STREAM
        )
        return found[0][4][0]
