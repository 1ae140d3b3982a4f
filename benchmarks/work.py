"""What every measured job does, whichever system runs it, and the marks it leaves to measure by.

Standard library only: the peers' virtual environments import it too. A mark is an empty file, or a
line of one, in the folder BENCH_MARKS; made once a process, or by jobs whose latency is measured.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import Any


@cache
def begin() -> None:
    """Mark, once a process, that this one has begun its first job: when, and which it is."""
    Path(os.environ["BENCH_MARKS"], f"{time.time_ns()}-{os.getpid()}.begun").touch()


def echo(value: Any) -> dict[str, Any]:
    """Do nothing: a small JSON argument in, a small JSON result out."""
    begin()
    return {"value": value}


def burn(milliseconds: float) -> dict[str, Any]:
    """Spend so much of this thread's CPU time."""
    begin()
    until = time.thread_time() + milliseconds / 1000
    rounds = 0
    while time.thread_time() < until:
        rounds += 1
    return {"rounds": rounds}


def tell(number: int, at_ns: int, first_ns: int | None = None) -> dict[str, Any]:
    """Note when the work of job `number` began, by time.monotonic_ns().

    Args:
        number: Of the job.
        at_ns: The first line of the work.
        first_ns: The first line of its function, where the row is written in between.
    """
    begin()
    os.write(_told(os.getpid()), f"{number} {at_ns} {first_ns or at_ns}\n".encode())
    return {"number": number}


@cache
def _told(_pid: int) -> int:
    path = Path(os.environ["BENCH_MARKS"], "told")
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
