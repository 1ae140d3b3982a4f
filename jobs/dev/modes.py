"""What one call of the stack does: everything, the servers alone, or a command beside them."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Literal, assert_never

from django.core.management.base import CommandError

from jobs.dev import folder as folders
from jobs.dev import orphans, records, servers
from jobs.dev.child import Program
from jobs.dev.folder import Folder
from jobs.dev.output import Files, Stream
from jobs.dev.signals import StopSignals
from jobs.dev.stack import Stack

Mode = Literal["run", "services", "exec"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for; None where the environment decides."""

    mode: Mode
    base: Path
    folder: Path | None
    port: int | None
    command: tuple[str, ...]
    is_fresh: bool


def run(request: Request, stream: Stream) -> int:
    """Do what was asked, and return the exit code once everything has stopped."""
    given = folders.given_environment(request.base / "devstack.env")
    folder = folders.make(request.folder or request.base, base=request.base)
    with folders.lock(folder):
        records.stop_the_written(folder.record)
        if request.is_fresh:
            folders.empty(folder)
        match request.mode:
            case "exec":
                return _exec(request, folder, given)
            case "services":
                return 0
            case "run":
                return 0
        assert_never(request.mode)


def _exec(request: Request, folder: Folder, given: dict[str, str]) -> int:
    chosen = servers.choose(folder, given)
    signals = StopSignals()
    stack = Stack(Files(folder.path / "log").line, signals, record=folder.record)
    orphans.adopt()
    with signals.caught():
        try:
            if not servers.start(stack, chosen):
                raise CommandError(stack.fault or "Stopped before the servers were up.")
            child = stack.start(
                Program(
                    name="command",
                    argv=request.command,
                    environment={**given, **chosen.environment, "PATH": _path_with_ours(given)},
                    stop_phase=0,
                    grace_seconds=30.0,
                    foreground=True,
                )
            )
            while not child.has_ended and not stack.is_stopping:
                stack.step()
        finally:
            stack.stop()
    if stack.fault:
        raise CommandError(stack.fault)
    code = child.process.returncode
    return code if code >= 0 else 128 - code


def _path_with_ours(given: dict[str, str]) -> str:
    # So that `exec -- pytest` finds the pytest installed beside this Python.
    return os.pathsep.join((str(Path(sys.executable).parent), given.get("PATH", os.defpath)))
