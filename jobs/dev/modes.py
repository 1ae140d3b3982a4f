"""What one call of the stack does: everything, the servers alone, or a command beside them."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, assert_never

from django.core.management.base import CommandError

from jobs.dev import everything, orphans, records, servers, site
from jobs.dev import folder as folders
from jobs.dev.child import Child, Program
from jobs.dev.folder import Folder
from jobs.dev.output import Files, Sink, Stream
from jobs.dev.servers import Servers
from jobs.dev.signals import StopSignals
from jobs.dev.stack import Stack

Mode = Literal["run", "services", "exec"]
_COMMAND_GRACE_SECONDS = 30.0


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
    """Do what was asked, and return the exit code once everything has stopped.

    Raises:
        CommandError: It could not be done; nothing is left running.
    """
    given = dict(os.environ)
    folder = folders.make(request.folder or request.base, base=request.base)
    with folders.lock(folder):
        stopped = records.stop_the_written(folder.record)
        if stopped:
            stream.write(f"Stopped {stopped} processes that outlived a killed stack.")
        # Asked before anything is started: then nothing is left when there is nothing to run on.
        port = site.port(request.port, given) if request.mode == "run" else site.DEFAULT_PORT
        chosen = servers.choose(folder, given, is_fresh=request.is_fresh)
        try:
            match request.mode:
                case "exec":
                    return _exec(request.command, folder, chosen)
                case "services":
                    _services(folder, chosen, port, stream)
                case "run":
                    _everything(request.base.parent, folder, chosen, port, stream)
                case _:
                    assert_never(request.mode)
        finally:
            folders.leave(folder)
    return 0


def _everything(project: Path, folder: Folder, chosen: Servers, port: int, stream: Stream) -> None:
    with _stack(folder, stream.line) as (stack, _), _told(folder, chosen, port) as variables:
        if servers.start(stack, chosen):
            everything.run(
                everything.Plan(
                    project=project,
                    answer=folder.path / "access.json",
                    environment={**chosen.given, **variables, "PYTHONUNBUFFERED": "1"},
                    port=port,
                ),
                stack,
                stream,
            )


def _services(folder: Folder, chosen: Servers, port: int, stream: Stream) -> None:
    with _stack(folder, stream.line) as (stack, _), _told(folder, chosen, port) as variables:
        if servers.start(stack, chosen):
            stream.write(f"\n  DATABASE_URL={variables['DATABASE_URL']}")
            stream.write(f"  REDIS_URL={variables['REDIS_URL']}")
            stream.write(f"  Written to {folder.env_file}. Ctrl-C stops both.\n")
        while not stack.is_stopping and not stream.is_closed:
            stack.step()


def _exec(command: tuple[str, ...], folder: Folder, chosen: Servers) -> int:
    ours = Path(sys.executable).parent
    path = os.pathsep.join((str(ours), chosen.given.get("PATH", os.defpath)))
    with _stack(folder, Files(folder.path / "log").line) as (stack, signals):
        if not servers.start(stack, chosen):
            return 1
        child = stack.start(
            Program(
                name="command",
                argv=command,
                # `exec -- pytest` means the pytest beside this Python.
                environment={**chosen.given, **chosen.environment, "PATH": path},
                stop_phase=0,
                grace_seconds=_COMMAND_GRACE_SECONDS,
                runs_once=True,
                has_terminal=True,
            )
        )
        _wait_for(child, stack, signals)
    code = child.process.returncode
    return code if code >= 0 else 128 - code


def _wait_for(child: Child, stack: Stack, signals: StopSignals) -> None:
    while not child.has_ended:
        stack.step()
        if signals.last is signal.SIGINT and _terminal_tells_all():
            # A Ctrl-C has reached the command too; what it means is the command's to decide.
            signals.forget()
        if stack.is_stopping:
            return


def _terminal_tells_all() -> bool:
    return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()


@contextmanager
def _stack(folder: Folder, sink: Sink) -> Iterator[tuple[Stack, StopSignals]]:
    signals = StopSignals()
    stack = Stack(sink, signals, record=folder.record)
    orphans.adopt()
    with signals.caught():
        try:
            yield stack, signals
        finally:
            stack.stop()
    if stack.fault:
        raise CommandError(stack.fault)


@contextmanager
def _told(folder: Folder, chosen: Servers, port: int) -> Iterator[dict[str, str]]:
    # So that `manage.py jobs list` in another terminal reaches this stack.
    variables = {
        **chosen.environment,
        "DEBUG": chosen.given.get("DEBUG") or "True",
        "SECRET_KEY": chosen.given.get("SECRET_KEY") or folders.secret_key(folder),
        "PORT": str(port),
    }
    folders.write_env(folder, variables)
    try:
        yield variables
    finally:
        folder.env_file.unlink(missing_ok=True)
