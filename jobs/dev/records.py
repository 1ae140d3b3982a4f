"""Children that outlive a killed stack: written down while they run, stopped by the next start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from jobs.dev.child import Child, birth

_WAIT_SECONDS = 10.0
_STEP_SECONDS = 0.02


class _Record(TypedDict):
    pid: int
    birth: str | None
    phase: int
    signal: int


def write(file: Path, children: Iterable[Child]) -> None:
    """Write down who runs, each with what tells it from a later process of the same number."""
    rows = [
        _Record(
            pid=child.process.pid,
            birth=birth(child.process.pid),
            phase=child.program.stop_phase,
            signal=int(child.program.stop_signal),
        )
        for child in children
        if not child.program.has_terminal
    ]
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(json.dumps(rows), encoding="ascii")
    draft.replace(file)


def stop_the_written(file: Path) -> int:
    """Stop whoever of the last stack still runs, in its order, and return how many they were.

    Call with the folder's lock held: then the processes written down are nobody's.
    """
    try:
        rows: list[_Record] = json.loads(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0
    living = sorted((row for row in rows if _lives(row)), key=lambda row: row["phase"])
    for row in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(row["pid"], row["signal"])
            os.kill(row["pid"], signal.SIGCONT)
        if not _ends(row):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(row["pid"], signal.SIGKILL)
            _ends(row)
    file.unlink(missing_ok=True)
    return len(living)


def _lives(row: _Record) -> bool:
    return row["birth"] is not None and birth(row["pid"]) == row["birth"]


def _ends(row: _Record) -> bool:
    until = time.monotonic() + _WAIT_SECONDS
    while _lives(row):
        if time.monotonic() > until:
            return False
        time.sleep(_STEP_SECONDS)
    return True
