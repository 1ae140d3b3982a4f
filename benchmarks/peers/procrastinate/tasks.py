"""The measured jobs as tasks: coroutines, so that a worker runs ten at once without a thread."""

from __future__ import annotations

import time
from typing import Any

from procrastinate.contrib.django import app

from benchmarks import work


@app.task
async def echo(*, value: Any) -> Any:
    """Do nothing."""
    return work.echo(value)


@app.task
async def tell(*, value: int) -> Any:
    """Note when it began."""
    at_ns = time.monotonic_ns()
    return work.tell(value, at_ns)
