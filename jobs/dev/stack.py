"""The supervisor of a laptop's stack: starts children, restarts the dead, stops all in order."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.dev import orphans, records
from jobs.dev.child import Child, Program
from jobs.dev.output import Sink
from jobs.dev.signals import StopSignals

QUICK_SECONDS = 5.0
"""A child that lived shorter than this died of its start."""

MAX_QUICK_DEATHS = 5
BACKOFF_SECONDS = 0.5
"""The wait before the first restart; each quick death doubles it."""

_STEP_SECONDS = 0.1
_SHORT_STEP_SECONDS = 0.02
_SERVERS_PHASE = 2
_MAX_LAST_CHUNKS = 100


class Stack:
    """A single loop over the children's output, their deaths and our signals.

    Used from the main thread only; other threads may ask for `is_stopping`.
    """

    def __init__(
        self,
        sink: Sink,
        signals: StopSignals,
        *,
        record: Path,
        backoff_seconds: float = BACKOFF_SECONDS,
    ) -> None:
        self.children: dict[str, Child] = {}
        self.fault = ""
        self._sink = sink
        self._signals = signals
        self._record = record
        self._backoff_seconds = backoff_seconds
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.wakes, selectors.EVENT_READ)

    @property
    def is_stopping(self) -> bool:
        """Say whether a signal or a fault has asked for the end."""
        return self._signals.count > 0 or bool(self.fault)

    def start(self, program: Program) -> Child:
        """Start a child and look after it until `stop`."""
        child = Child(program)
        self.children[program.name] = child
        self._listen(child)
        return child

    def say(self, name: str, text: str) -> None:
        """Put a line of our own among those of the child called `name`."""
        self._sink(name, text)

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float, what: str) -> bool:
        """Look after the children until `is_ready`; False when told to stop, or out of time."""
        until = time.monotonic() + seconds
        while not self.is_stopping:
            if is_ready():
                return True
            if time.monotonic() > until:
                self.fault = f"{what} did not answer within {seconds:g} s."
            self.step(_SHORT_STEP_SECONDS)
        return False

    def step(self, seconds: float = _STEP_SECONDS) -> None:
        """Wait for something to happen, at most so long, and see to it."""
        self._read_ready(seconds)
        for child in self.children.values():
            if child.restart_at is None:
                if child.has_ended:
                    self._bury(child)
                elif child.reload_until is not None and time.monotonic() > child.reload_until:
                    child.kill()
            elif time.monotonic() >= child.restart_at and not self.is_stopping:
                child.start()
                self._listen(child)
        orphans.reap({child.process.pid for child in self.children.values()})

    def reload(self) -> None:
        """Stop what runs the site's code; each starts again as soon as it has ended."""
        for child in self.children.values():
            if child.program.reloads:
                child.quick_deaths = 0
                child.reload_until = time.monotonic() + child.program.grace_seconds
                child.signal(child.program.stop_signal)

    def fail(self, child: Child, what: str) -> None:
        """Ask for the end because of `child`; the fault shows its last lines."""
        last = "\n".join(f"    {line}" for line in child.tail)
        self.fault = f"{child.program.name} {what} ({child.end}). Its last lines:\n{last}"

    def stop(self) -> None:
        """Stop the children, phase by phase; one more signal hastens the site's processes."""
        requests = self._signals.count
        for phase in sorted({child.program.stop_phase for child in self.children.values()}):
            group = [c for c in self.children.values() if c.program.stop_phase == phase]
            for child in group:
                child.signal(child.program.stop_signal)
            until = time.monotonic() + max(child.program.grace_seconds for child in group)
            while not all(child.has_ended for child in group):
                # The servers' own stop is quick and keeps their data whole: never hastened.
                is_hastened = self._signals.count > requests and phase < _SERVERS_PHASE
                if is_hastened or time.monotonic() > until:
                    _kill(group)
                self._read_ready(_SHORT_STEP_SECONDS)
            for child in group:
                self._read_rest(child)
        self._record.unlink(missing_ok=True)
        orphans.kill()

    def _listen(self, child: Child) -> None:
        if child.process.stdout:
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        records.write(self._record, self.children.values())

    def _read_ready(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                self._read(key.data)
                if key.data.is_silent:
                    self._forget_stream(key.data)
            else:
                self._signals.clear_wakes()

    def _read(self, child: Child) -> None:
        for line in child.read():
            self.say(child.program.name, line)

    def _read_rest(self, child: Child) -> None:
        # A grandchild may still hold the other end; what it says later is not ours to wait for.
        for _ in range(_MAX_LAST_CHUNKS):
            self._read(child)
            if child.is_silent:
                break
        for line in child.read_rest():
            self.say(child.program.name, line)
        self._forget_stream(child)

    def _forget_stream(self, child: Child) -> None:
        stream = child.process.stdout
        if stream and not stream.closed:
            self._selector.unregister(stream)
            stream.close()

    def _bury(self, child: Child) -> None:
        self._read_rest(child)
        if child.program.runs_once:
            return
        age_seconds = time.monotonic() - child.started_at
        if child.reload_until is not None:
            child.restart_at = time.monotonic()
            return
        child.quick_deaths = child.quick_deaths + 1 if age_seconds < QUICK_SECONDS else 0
        if child.quick_deaths >= MAX_QUICK_DEATHS:
            self.fail(child, f"died {MAX_QUICK_DEATHS} times right after its start")
            return
        wait_seconds = self._backoff_seconds * 2 ** max(child.quick_deaths - 1, 0)
        child.restart_at = time.monotonic() + wait_seconds
        self.say(child.program.name, f"[{child.end}; starts again in {wait_seconds:g} s]")


def _kill(group: Sequence[Child]) -> None:
    for child in group:
        child.kill()
