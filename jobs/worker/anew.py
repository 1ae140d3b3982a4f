"""A worker that lost its mother starts itself anew: same process, same command, fresh mother."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

# "<pid> <jobs>": for this process only, not for what a job may start.
_LEFT = "JOBSITE_JOBS_LEFT"


def start(*, jobs_left: int | None) -> NoReturn:
    """Replace this process by its own command.

    Args:
        jobs_left: What is left of --max-jobs; None: it has no limit.
    """
    environment = dict(os.environ)
    if jobs_left is not None:
        environment[_LEFT] = f"{os.getpid()} {jobs_left}"
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - our command


def jobs_left() -> int | None:
    """Return what this process's former life left of --max-jobs; None: it had none, or no limit."""
    pid, _, left = os.environ.get(_LEFT, "").partition(" ")
    return int(left) if pid == str(os.getpid()) and left.isdecimal() else None
