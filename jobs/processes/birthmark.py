"""What tells a process from every other that ever had its pid, on whatever machine."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_PROC = Path("/proc")
_DEAD = "ZX"  # killed, but not yet waited for


def of_this_process() -> str:
    """Return this process's birthmark; "" where it can't be told."""
    return of(os.getpid())


def of(pid: int) -> str:
    """Return the birthmark of the process that has this pid here and now; "" where there is none.

    On Linux: the boot, the namespaces in which pid and time are counted, the pid, the moment of
    its start. Two containers with one hostname and one pid, and a pid used again, differ in it.
    """
    place = here()
    started = _started(pid) if place else ""
    return f"{place} {pid} {started}" if started else ""


def is_gone(birthmark: str, pid: int) -> bool:
    """Whether the process that had this birthmark is certainly dead; False where that is unknown.

    Args:
        birthmark: As `of_this_process` gave it there and then.
        pid: Its pid there.
    """
    place = here()
    return bool(place) and birthmark.startswith(f"{place} ") and of(pid) != birthmark


def is_alive(birthmark: str, pid: int) -> bool:
    """Whether the process that had this birthmark certainly lives, here."""
    return bool(birthmark) and of(pid) == birthmark


def here() -> str:
    """Return what must be equal for two processes' pids to be comparable; "" if that is unknown."""
    if sys.platform != "linux":
        return f"{sys.platform}:{socket.gethostname()}"
    try:
        if (_PROC / "self").readlink().name != str(os.getpid()):
            return ""  # /proc shows another namespace than ours
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        kinds = [kind for kind in ("pid", "time") if (_PROC / "self/ns" / kind).exists()]
        spaces = [(_PROC / "self/ns" / kind).readlink().name for kind in kinds]
    except OSError:
        return ""
    return "/".join([boot, *spaces])


def _started(pid: int) -> str:
    if sys.platform != "linux":
        return _exists(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # Its name, in parentheses, may hold anything; proc(5) numbers the fields from 1, this is 22.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in _DEAD else fields[19]


def _exists(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "running"
    return "running"
