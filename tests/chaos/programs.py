"""A process of ours that is started again whenever it ends, as a process manager would."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from jobs.dev import launch
from tests.chaos.evidence import Exit

# How one that was told to end may end; the second is that of one that didn't listen yet.
ORDERLY = frozenset({0, -signal.SIGTERM})
# One that ends sooner is started again only after so long.
YOUNG_SECONDS = 1.0
# One that was started less long ago may not listen to signals yet: machines are slow.
DEAF_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Program:
    """One place for a process; start it from the main thread only."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path  # of its log
    process: subprocess.Popen[bytes] | None = None
    exits: list[Exit] = field(default_factory=list)  # that no fault explains
    is_told: bool = False  # to end: it may, in order
    is_condemned: bool = False  # a fault has ended this process, however that may look
    _started_at: float = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it has a process that has not ended."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it; it dies with us."""
        self.is_told = self.is_condemned = False
        self._started_at = time.monotonic()
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                launch.command(tuple(self.argv), death_signal=signal.SIGKILL),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def keep(self) -> None:
        """Start it again if it has ended; note an end that nobody asked for."""
        if self.is_running:
            return
        self.note_end()
        if time.monotonic() - self._started_at >= YOUNG_SECONDS:
            self.start()

    def note_end(self, *, allowed: int | None = None) -> None:
        """Note the end of its process, unless a fault explains it or the code is `allowed`."""
        if self.process is None:
            return
        code = self.process.wait()
        is_orderly = code == allowed or (self.is_told and code in ORDERLY)
        if not (self.is_condemned or is_orderly):
            self.exits.append(Exit(name=self.name, code=code))
        self.process = None

    def dismiss(self) -> None:
        """Tell it to end for good: it ends well, unless it is so new that it may not listen yet."""
        if self.process is not None:
            self.is_told = time.monotonic() - self._started_at < DEAF_SECONDS
            self.is_condemned = False
            self.process.terminate()

    def kill(self) -> None:
        """Kill it and everything below it."""
        for one in self.tree():
            send(one, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def tree(self) -> list[psutil.Process]:
        """Its process and all below it, itself first; empty where it has ended."""
        try:
            top = psutil.Process(self.process.pid) if self.process else None
            return [top, *top.children(recursive=True)] if top else []
        except psutil.NoSuchProcess:
            return []

    def mother(self) -> psutil.Process | None:
        """Of a worker: the process that forks its runners; None while there is none."""
        tree = self.tree()
        below = [one for one in tree[1:] if parent_of(one) == tree[0].pid]
        return below[0] if below else None

    def brood(self) -> list[psutil.Process]:
        """Of a worker: its runners and its duties, by pid."""
        mother = self.mother()
        if mother is None:
            return []
        return sorted(
            (one for one in self.tree() if parent_of(one) == mother.pid), key=lambda one: one.pid
        )


def parent_of(process: psutil.Process) -> int:
    """Return its parent's pid; 0 if it is gone."""
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def send(process: psutil.Process, number: signal.Signals) -> bool:
    """Send it a signal, never to another process that bears its pid; whether it was there."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True
