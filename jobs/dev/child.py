"""One child of the stack: how it is started, read and stopped."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from jobs.dev import launch

TAIL_LINES = 20
_CHUNK_BYTES = 65_536


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs, and how it is stopped.

    Attributes:
        stop_phase: Children stop in rising order; those of one phase together.
        grace_seconds: How long it may take to stop before its whole group is killed.
        reloads: It is restarted when the code changes.
        runs_once: Its end is no fault of the stack's, and it is not started again.
        has_terminal: It keeps our streams and our process group.
        folder: Where it runs; None means here.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    stop_phase: int = 1
    grace_seconds: float = 10.0
    identity: str = launch.SAME_USER
    reloads: bool = False
    runs_once: bool = False
    has_terminal: bool = False
    folder: Path | None = None


class Child:
    """A running program and the last lines it said. Start it from the main thread only.

    The kernel's parent-death signal is bound to the thread that forks, not to the process.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self.quick_deaths = 0
        self.restart_at: float | None = None
        self.reload_until: float | None = None
        self.is_silent = False
        self._rest = b""
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        program = self.program
        self.restart_at, self.reload_until, self._rest = None, None, b""
        self.started_at = time.monotonic()
        pipe = None if program.has_terminal else subprocess.PIPE
        self.process = subprocess.Popen(
            launch.command(
                program.argv, death_signal=program.stop_signal, identity=program.identity
            ),
            env=dict(program.environment),
            cwd=program.folder,
            stdin=None if program.has_terminal else subprocess.DEVNULL,
            stdout=pipe,
            stderr=subprocess.STDOUT if pipe else None,
            start_new_session=not program.has_terminal,
        )
        if self.process.stdout:
            os.set_blocking(self.process.stdout.fileno(), False)

    def read(self) -> list[str]:
        """Return the whole lines of one more chunk; `is_silent` says whether there was none."""
        stream = self.process.stdout
        data = b""
        if stream and not stream.closed:
            with contextlib.suppress(BlockingIOError):
                data = os.read(stream.fileno(), _CHUNK_BYTES)
        self.is_silent = not data
        *whole, self._rest = (self._rest + data).split(b"\n")
        return self._note(whole)

    def read_rest(self) -> list[str]:
        """Return a last line that has no end. Call when the process is gone and silent."""
        rest, self._rest = self._rest, b""
        return self._note([rest] if rest else [])

    def _note(self, whole: list[bytes]) -> list[str]:
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self.tail.extend(lines)
        return lines

    @property
    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the process itself; it tells its own children."""
        if not self.has_ended:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and all of its group."""
        if self.has_ended:
            return
        if self.program.has_terminal:
            self.process.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def birth(pid: int) -> str | None:
    """Return what tells this process from a later one of the same number; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self").exists() else _birth_by_ps(pid)
    except ProcessLookupError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _birth_by_ps(pid: int) -> str | None:
    argv = ("/bin/ps", "-o", "lstart=", "-p", str(pid))
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
