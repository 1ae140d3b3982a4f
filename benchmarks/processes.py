"""The processes of one system's workers: started, weighed, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_SECONDS = 60


@dataclass(slots=True)
class Workers:
    """What one system was told to start, and everything below it."""

    processes: list[subprocess.Popen[bytes]]
    log: Path

    def tree(self) -> list[psutil.Process]:
        """Return every living process of it."""
        found: dict[int, psutil.Process] = {}
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                first = psutil.Process(process.pid)
                for each in (first, *first.children(recursive=True)):
                    found[each.pid] = each
        return list(found.values())

    def pss_mib(self) -> float:
        """Return the memory of all of them; a page that n processes share counts as 1/n each."""
        return sum(map(_pss_kib, self.tree())) / 1024

    def cpu_seconds(self) -> float:
        """Return what all of them have used, those that have ended included."""
        return cpu_seconds(self.tree())

    def must_live(self) -> None:
        """End the run where one of them has ended.

        Raises:
            SystemExit: One has; its log is told.
        """
        for process in self.processes:
            if process.poll() is not None:
                raise SystemExit(
                    f"A worker ended with {process.returncode}:\n"
                    f"{self.log.read_text(errors='replace')[-4000:]}"
                )


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU time of the processes and of the children that they have waited for."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _pss_kib(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@contextmanager
def running(
    commands: list[list[str]], environment: Mapping[str, str], log: Path
) -> Iterator[Workers]:
    """Run the commands, their output in `log`; SIGTERM ends them, as a deploy does."""
    with log.open("ab") as file:
        started = [
            subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            for command in commands
        ]
    workers = Workers(started, log)
    try:
        yield workers
    finally:
        below = workers.tree()
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"{process.args} had to be killed", file=sys.stderr)
                process.kill()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
