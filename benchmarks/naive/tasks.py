"""The measured jobs as functions for rq, each between two statements on its row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from benchmarks import work
from benchmarks.naive.models import Row


def echo(row_id: int, value: Any) -> Any:
    """Do nothing."""
    return _recorded(row_id, lambda: work.echo(value))


def burn(row_id: int, value: float) -> Any:
    """Spend so many milliseconds of CPU time."""
    return _recorded(row_id, lambda: work.burn(value))


def tell(row_id: int, value: int) -> Any:
    """Note when it began, and when the work did: as with ours, the row says `started` by then."""
    first_ns = time.monotonic_ns()
    return _recorded(row_id, lambda: work.tell(value, time.monotonic_ns(), first_ns))


def wait(row_id: int, value: float) -> Any:
    """Wait for so many seconds."""

    def nap() -> dict[str, float]:
        work.begin()
        time.sleep(value)
        return {"value": value}

    return _recorded(row_id, nap)


def _recorded(row_id: int, perform: Callable[[], Any]) -> Any:
    row = Row.objects.filter(pk=row_id)
    row.update(status="started", started_at=timezone.now())
    result = perform()
    row.update(status="completed", finished_at=timezone.now(), result=result)
    return result
