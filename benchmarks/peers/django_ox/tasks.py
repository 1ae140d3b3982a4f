"""The measured jobs as tasks of django.tasks."""

from __future__ import annotations

import time
from typing import Any

from django.tasks import task

from benchmarks import work


@task
def echo(value: Any) -> Any:
    """Do nothing."""
    return work.echo(value)


@task
def tell(value: int) -> Any:
    """Note when it began."""
    at_ns = time.monotonic_ns()
    return work.tell(value, at_ns)
