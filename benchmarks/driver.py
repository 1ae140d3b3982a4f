"""The process that dispatches for one system: orders in by stdin, figures out by stdout, as JSON.

Standard library only: the peers' virtual environments run it too. Every system's driver gives a
Dispatcher; what is timed, and how, is here and so the same for all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol


class Dispatcher(Protocol):
    """One system, as its documentation has people dispatch with it."""

    def prepare(self) -> None:
        """Make the tables."""

    def one(self, job: str, queue: str, value: Any) -> None:
        """Dispatch one job, in autocommit."""

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Dispatch many in one call."""

    def close(self) -> None:
        """Close the database connection, so that PostgreSQL counts what it did."""


def serve(dispatcher: Dispatcher) -> None:
    """Obey orders until stdin ends."""
    verbs: dict[str, Callable[..., object]] = {
        "prepare": dispatcher.prepare,
        "close": dispatcher.close,
        "one": lambda **order: _one(dispatcher, **order),
        "many": lambda **order: _many(dispatcher, **order),
        "pace": lambda **order: _pace(dispatcher, **order),
        "cpu": time.process_time,
        **getattr(dispatcher, "more", {}),
    }
    for line in sys.stdin:
        order = json.loads(line)
        answer = verbs[order.pop("verb")](**order)
        print(json.dumps(answer), flush=True)


def _one(dispatcher: Dispatcher, *, job: str, queue: str, value: Any, count: int) -> float:
    """Return how many seconds it took to dispatch `count` jobs one after the other."""
    begun = time.perf_counter()
    for _ in range(count):
        dispatcher.one(job, queue, value)
    return time.perf_counter() - begun


def _many(dispatcher: Dispatcher, *, job: str, queue: str, calls: list[list[Any]]) -> float:
    """Return how many seconds it took to dispatch the values of every call."""
    begun = time.perf_counter()
    for values in calls:
        dispatcher.many(job, queue, values)
    return time.perf_counter() - begun


def _pace(
    dispatcher: Dispatcher, *, queues: list[str], every: float, group: int, count: int
) -> list[int]:
    """Dispatch `count` jobs Tell at an even pace, `group` a call, to each of `queues` in turn.

    Returns:
        For each job, in the order of its number, time.monotonic_ns() just before its dispatch.
    """
    moments: list[int] = []
    begun = time.monotonic()
    while len(moments) < count:
        turn = len(moments) // group
        time.sleep(max(0.0, begun + turn * every - time.monotonic()))
        queue = queues[turn % len(queues)]
        numbers = list(range(len(moments), len(moments) + group))
        moment = time.monotonic_ns()
        if group == 1:
            dispatcher.one("Tell", queue, numbers[0])
        else:
            dispatcher.many("Tell", queue, numbers)
        moments += [moment] * group
    return moments
