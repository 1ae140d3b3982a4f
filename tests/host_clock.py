"""A host whose clock is wrong: a process whose environment says so, and all that it forks."""

from __future__ import annotations

import importlib
import os
from datetime import timedelta

VARIABLE = "TEST_HOST_CLOCK_HOURS"


def shift() -> None:
    """Shift this process's clock for the rest of its life, as its environment says.

    All that Python knows of the time of day; not the monotonic clocks, which never were of any day.
    """
    hours = float(os.environ.get(VARIABLE, "0"))
    if hours:
        # It imports pytest, a quarter of what a worker's start computes: only where it is needed.
        time_machine = importlib.import_module("time_machine")
        time_machine.travel(timedelta(hours=hours), tick=True).start()
