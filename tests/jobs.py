"""The job classes every test uses; a worker process finds them as any app's."""

from __future__ import annotations

import ctypes
import functools
import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.urls import reverse

from jobs.base import BaseJob
from jobs.errors import Cancel, Snooze
from jobs.retention import Retention
from jobs.retry import Backoff
from tests import async_jobs, etl_jobs  # noqa: F401 - for every process that finds this module
from tests.flights import jobs as flights_jobs  # noqa: F401 - likewise


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


class Hold(BaseJob):
    """Hold much memory for a moment, itself or in a child; return its runner's pid."""

    mebibytes: int
    in_a_child: bool = False

    def _perform(self) -> Any:
        size = self.mebibytes * 1024 * 1024
        if self.in_a_child:
            subprocess.run([sys.executable, "-c", f"held = bytearray({size})"], check=True)
        else:
            held = bytearray(size)
            del held
        return {"pid": os.getpid()}


class CollectGarbage(BaseJob):
    """Collect all generations, as Python does by itself now and then; return its runner's pid."""

    def _perform(self) -> Any:
        gc.collect()
        return {"pid": os.getpid()}


class TellAddress(BaseJob):
    """Return a page's address, as a job that writes e-mails does."""

    max_attempts = 1

    view: str

    def _perform(self) -> Any:
        return reverse(self.view)


class TellModules(BaseJob):
    """Return the names of the modules that its runner has imported."""

    def _perform(self) -> Any:
        return sorted(sys.modules)


class Swallow(BaseJob):
    """Outlast its timeout and keep every Exception to itself."""

    timeout = timedelta(seconds=1)
    max_attempts = 1

    bare: bool = False

    def _perform(self) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                time.sleep(10)
            except Exception:  # noqa: BLE001, S112 - the very thing under test
                continue
            except:  # noqa: E722
                if not self.bare:
                    raise
        return "slept on"


class SleepTooLong(BaseJob):
    """Sleep past its timeout."""

    timeout = timedelta(seconds=1)
    max_attempts = 1

    def _perform(self) -> Any:
        time.sleep(60)


class SlowStatement(BaseJob):
    """Sit in one SQL statement past its timeout."""

    timeout = timedelta(seconds=1)
    max_attempts = 1

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")


class Statement(BaseJob):
    """Sit in one SQL statement on the first attempt, and only there."""

    max_attempts = 2
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [60 if self.attempt == 1 else 0])


class Litter(BaseJob):
    """Leave something behind on the connection."""

    what: str

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(self.what)


class TightCall(BaseJob):
    """Sit in one call into C that hears no signal, with a statement's backend open."""

    timeout = timedelta(seconds=1)
    max_attempts = 1

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return sum(range(10**12))


class TooLate(BaseJob):
    """Return long after its timeout, having heard nothing of it."""

    timeout = timedelta(seconds=0.3)
    max_attempts = 1

    def _perform(self) -> Any:
        try:
            time.sleep(0.6)
        except BaseException:  # noqa: BLE001 - the very thing under test
            return "kept it to itself"
        return "slept on"


class InTransaction(BaseJob):
    """Say how far it is from within an open transaction, until it is stopped."""

    timeout = timedelta(seconds=60)

    def _perform(self) -> Any:
        with transaction.atomic():
            Permission.objects.create(
                codename="half_done",
                name="half done",
                content_type=ContentType.objects.get_for_model(Permission),
            )
            for step in range(10_000):
                self.progress(step, 10_000, "inside")
                time.sleep(0.01)


class Atomic(BaseJob):
    """Write a row in the same commit as its own end."""

    atomic = True
    max_attempts = 3
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    failing_attempts: int = 0
    result_is_bad: bool = False

    def _perform(self) -> Any:
        Permission.objects.create(
            codename=f"written_{self.job_id}",
            name="written",
            content_type=ContentType.objects.get_for_model(Permission),
        )
        if self.attempt <= self.failing_attempts:
            raise RuntimeError("after the write")
        return float("nan") if self.result_is_bad else "written"


class Return(BaseJob):
    """Return something that isn't JSON, or is too much of it."""

    max_attempts = 1

    what: str

    def _perform(self) -> Any:
        return {
            "nan": {"rows": [1, float("nan")]},
            "nul": "a\x00b",
            "surrogate": "\ud800",
            "object": {"when": object()},
            "large": "x" * (1024 * 1024 + 1),
            "nothing": None,
        }[self.what]


class Leave(BaseJob):
    """Try to end the process instead of the job."""

    max_attempts = 1

    how: str

    def _perform(self) -> Any:
        if self.how == "exit":
            raise SystemExit(3)
        os._exit(7)


class DoneInTime(BaseJob):
    """End well before its timeout."""

    timeout = timedelta(seconds=2)

    def _perform(self) -> Any:
        time.sleep(0.5)


class TouchAlarm(BaseJob):
    """Leave SIGALRM to its default, which would end the process."""

    def _perform(self) -> Any:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


class TerminateChild(BaseJob):
    """Terminate a forked child, as multiprocessing's pools do; return how it ended."""

    timeout = timedelta(seconds=5)
    max_attempts = 1

    def _perform(self) -> Any:
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join()
        return child.exitcode


class ForkAndReturn(BaseJob):
    """Fork, and return in both processes; the child first."""

    def _perform(self) -> Any:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return "parent" if child else "child"


class Spawn(BaseJob):
    """Start a child that would outlive the job, and wait with it."""

    timeout = timedelta(seconds=60)

    def _perform(self) -> Any:
        with subprocess.Popen(["sleep", "300"]) as child:  # noqa: S607
            self.progress(child.pid, None, "child")
            child.wait()


class LeaveTransactionOpen(BaseJob):
    """Leave the connection inside a transaction, and as it should not be."""

    def _perform(self) -> Any:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM job_statuses")
        return "left open"


def say_hello(name: str) -> str:
    """Be a plain rq job."""
    return f"hello {name}"


def fail_plainly() -> None:
    """Be a plain rq job that fails."""
    raise ValueError("plain failure")


class AtomicSleep(BaseJob):
    """Write a row atomically, and be long about it on the first attempt."""

    atomic = True
    max_attempts = 5
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    seconds: float = 120

    def _perform(self) -> Any:
        Permission.objects.create(
            codename=f"written_{self.job_id}",
            name="written",
            content_type=ContentType.objects.get_for_model(Permission),
        )
        self.progress(1, 2, "halfway")
        if self.attempt == 1:
            time.sleep(self.seconds)


def die_plainly() -> None:
    """Be a plain rq job that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_plainly(seconds: float) -> None:
    """Be a plain rq job that takes long."""
    time.sleep(seconds)


class FailHalfway(BaseJob):
    """Fail right after a progress that came too soon to be written."""

    max_attempts = 1

    def _perform(self) -> Any:
        self.progress(1, 4)
        self.progress(2, 4)
        raise RuntimeError("halfway")


class _NoText(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Unspeakable(BaseJob):
    """Raise an error whose text can't be had."""

    max_attempts = 1

    def _perform(self) -> Any:
        raise _NoText


class KeptForAnHour(BaseJob):
    """Be gone an hour after the end."""

    retention = timedelta(hours=1)

    def _perform(self) -> None:
        return None


class FailuresKept(BaseJob):
    """Keep what failed for ever, the rest as the settings say."""

    retention = Retention(failed=timedelta.max)

    def _perform(self) -> None:
        return None


class KeptForEver(BaseJob):
    """Keep every row."""

    retention = timedelta.max

    def _perform(self) -> None:
        return None


def _endless() -> list[Any]:
    inner: list[Any] = []
    inner += [inner, inner]
    return inner


def _raise(error: BaseException) -> Any:
    raise error


def _recurse() -> Any:
    return _recurse()


def _chained(before: BaseException, number: int) -> BaseException:
    error = ValueError(f"number {number}")
    error.__cause__ = before
    return error


POISONS: dict[str, Callable[[], Any]] = {
    "NUL": lambda: {"text": "a\x00b"},
    "NUL in a key": lambda: {"a\x00b": 1},
    "NaN": lambda: {"rows": [1, float("nan")]},
    "infinity": lambda: {"rows": [float("-inf")]},
    "a million NaNs": lambda: [float("nan")] * 1_000_000,
    "surrogate": lambda: ["fine", "\ud800"],
    "too deep": lambda: functools.reduce(lambda inner, _: [inner], range(100_000), []),
    "endless": _endless,
    "huge number": lambda: 10**5_000,
    "key that is no text": lambda: {1: "one"},
    "not JSON": lambda: {"when": object()},
    "too much": lambda: "x" * (2 * 1024 * 1024),
    "huge error": lambda: _raise(ValueError(os.urandom(5 * 1024 * 1024).hex())),
    "error with a surrogate": lambda: _raise(ValueError("\ud800 and \x00")),
    "recursion": _recurse,
    "chain of a thousand": lambda: _raise(
        functools.reduce(_chained, range(1_000), ValueError("the first"))
    ),
    "huge group": lambda: _raise(
        ExceptionGroup("many", [ValueError(str(number) * 100) for number in range(10_000)])
    ),
}


class Poison(BaseJob):
    """Return or raise something that nobody can store as it is."""

    max_attempts = 1

    what: str

    def _perform(self) -> Any:
        return POISONS[self.what]()


class Pid(BaseJob):
    """Return the process it ran in."""

    def _perform(self) -> Any:
        return os.getpid()


class LeaveAChild(BaseJob):
    """Fork a child that is in nobody's group and outlives its runner; return its pid."""

    def _perform(self) -> Any:
        child = os.fork()
        if child == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
        time.sleep(0.5)
        return child


class Await(BaseJob):
    """Wait until a file is there, a different one in each attempt; return the attempt."""

    timeout = timedelta(seconds=60)
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    path: str

    def _perform(self) -> Any:
        while not Path(f"{self.path}.{self.attempt}").exists():
            time.sleep(0.02)
        return {"attempt": self.attempt}


class KillItsRunner(BaseJob):
    """Kill the runner in every attempt."""

    max_attempts = 100
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    def _perform(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class KillItsWorker(BaseJob):
    """Kill the whole worker in every attempt."""

    max_attempts = 100
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    def _perform(self) -> Any:
        mother = psutil.Process().parent()
        mother.parent().kill()
        time.sleep(60)


class Crash(BaseJob):
    """End the runner's process in the middle of the job."""

    max_attempts = 1

    how: str

    def _perform(self) -> Any:
        match self.how:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "left":
                os._exit(3)
            case "fault":
                ctypes.string_at(0)
            case "files":
                os.closerange(3, 256)
            case "program":
                os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])  # noqa: S606
        time.sleep(60)


class WantTooMuchMemory(BaseJob):
    """Ask for more memory than the process may have."""

    max_attempts = 1

    def _perform(self) -> Any:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (4 * 1024**3, hard))
        try:
            return len(bytearray(8 * 1024**3))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class LeaveOrphan(BaseJob):
    """Leave a process behind whose parent is gone."""

    def _perform(self) -> Any:
        subprocess.run(["sh", "-c", "sleep 1.5 &"], check=True)  # noqa: S607


class WhatTimeIsIt(BaseJob):
    """Return its host's time of day, and dispatch another for a second from now."""

    lane: str

    def _perform(self) -> Any:
        echo = Echo.dispatch(run_at=timedelta(seconds=1), queue=self.lane)
        return {"time": time.time(), "echo": str(echo.id)}


def _note(word: str) -> None:
    Permission.objects.create(
        codename=word, name=word, content_type=ContentType.objects.get_for_model(Permission)
    )


class HearCancel(BaseJob):
    """Note what was raised inside it, and let it pass."""

    timeout = timedelta(seconds=60)

    def _perform(self) -> Any:
        try:
            time.sleep(60)
        except BaseException as error:
            _note(f"{type(error).__name__} in {self.job_id}")
            raise


class Deaf(BaseJob):
    """Keep everything that is raised inside it to itself."""

    timeout = timedelta(seconds=60)

    def _perform(self) -> Any:
        while True:
            try:
                time.sleep(60)
            except BaseException:  # noqa: BLE001, S112 - the very thing under test
                continue


class AtomicTrouble(BaseJob):
    """Write atomically, then come to grief."""

    atomic = True
    max_attempts = 1
    timeout = timedelta(seconds=1)

    what: str

    def _perform(self) -> Any:
        _note(f"written_{self.job_id}")
        match self.what:
            case "its result is too large":
                return "x" * (2 * 1024 * 1024)
            case "its result is no JSON":
                return float("nan")
            case "PostgreSQL refuses its data":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            case "it exits":
                raise SystemExit(3)
            case "it takes too long":
                time.sleep(60)
        return None


class AtomicHook(BaseJob):
    """Leave something to be done on commit; fail the first time."""

    atomic = True
    max_attempts = 2
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    def _perform(self) -> Any:
        transaction.on_commit(lambda: _note(f"hook of {self.job_id} {self.attempt}"))
        if self.attempt == 1:
            raise RuntimeError("not yet")


class AtomicWait(BaseJob):
    """Write atomically, then wait for an advisory lock before the end."""

    atomic = True
    max_attempts = 3
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    lock: int

    def _perform(self) -> Any:
        _note(f"written_{self.job_id}")
        self.progress(1, 2, "halfway")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [self.lock])


class AtomicSteps(BaseJob):
    """Write twice in one transaction, a moment apart."""

    atomic = True
    max_attempts = 5
    backoff = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))

    def _perform(self) -> Any:
        _note(f"written_{self.job_id}")
        time.sleep(0.02)
        _note(f"again_{self.job_id}")


class Step(BaseJob):
    """Append its word to a file, then take its time, as told."""

    backoff = Backoff(base=timedelta(seconds=0.1), cap=timedelta(seconds=0.5))

    path: str
    word: str
    seconds: float = 0
    how: str = "sleep"

    def _perform(self) -> Any:
        with Path(self.path).open("a") as file:
            file.write(f"{self.word}\n")
        match self.how:
            case "sleep":
                time.sleep(self.seconds)
            case "hold the interpreter":
                ctypes.PyDLL(None).usleep(int(self.seconds * 1e6))
            case "hear nothing":
                until = time.monotonic() + self.seconds
                while time.monotonic() < until:
                    with suppress(BaseException):
                        time.sleep(until - time.monotonic())
            case "die at first" if self.attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)
        return {"word": self.word}


class OnlyStep(Step):
    """Have one attempt."""

    max_attempts = 1


class Tally(BaseJob):
    """Return what its runner has counted so far: each time the same object."""

    def _perform(self) -> Any:
        _tally["count"] += 1
        _tally["all"][0] += 1
        return _tally


_tally: dict[str, Any] = {"count": 0, "all": [0]}


class SumOfParents(BaseJob):
    """Return what its parents have returned, and which of them failed."""

    def _perform(self) -> Any:
        results = self.parent_results()
        return {
            "values": list(results),
            "names": [parent.name for parent in results.parents],
            "failed": results.failed,
        }


class Meet(BaseJob):
    """End when the test opens a gate, alone: it is in no batch."""

    max_attempts = 1

    gate: int  # of pg_advisory_lock

    def _perform(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock_shared(%s)", [self.gate])
            cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [self.gate])


class FailAfter(BaseJob):
    """Fail on its only attempt, a while after it began."""

    max_attempts = 1

    seconds: float

    def _perform(self) -> Any:
        time.sleep(self.seconds)
        raise RuntimeError("this always fails")
