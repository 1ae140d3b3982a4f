"""The site's own processes in a stack: what prepares it, web, worker, scheduler."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from jobs.dev.child import Program

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
QUEUES = ("high", "default", "etl", "low")
_WORKER_GRACE_SECONDS = 40.0
"""More than the worker itself waits for its jobs (25 s)."""


def port(asked: int | None, given: Mapping[str, str]) -> int:
    """Return the web server's port, once nobody else has it.

    Raises:
        CommandError: It is taken, or no port (exit code 2).
    """
    text = given.get("PORT") or str(DEFAULT_PORT) if asked is None else str(asked)
    if not text.isdigit() or not 0 < int(text) < 65_536:  # noqa: PLR2004 - the last port
        raise CommandError(f"{text!r} is no port: PORT is a number up to 65535.", returncode=2)
    with contextlib.closing(socket.socket()) as probe:
        # As the web server binds: a port that only waits for its last connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            raise CommandError(
                f"Port {text} can't be had ({error.strerror}): choose another with PORT=8001.",
                returncode=2,
            ) from error
    return int(text)


def preparation(environment: Mapping[str, str], answer: Path) -> Program:
    """Migrations and demo data, in one process; it writes the demo's access into `answer`."""
    return Program(
        name="prepare",
        argv=(sys.executable, "-m", "jobs.dev.prepare", str(answer)),
        environment=environment,
        folder=settings.BASE_DIR,
        runs_once=True,
    )


def web(environment: Mapping[str, str], port: int) -> Program:
    """The ASGI server. It answers what was begun before it stops."""
    application = ":".join(settings.ASGI_APPLICATION.rsplit(".", 1))
    options = ("--host", HOST, "--port", str(port), "--timeout-graceful-shutdown", "5")
    return Program(
        name="web",
        argv=(sys.executable, "-m", "uvicorn", application, *options),
        environment=environment,
        folder=settings.BASE_DIR,
        reloads=True,
    )


def worker(environment: Mapping[str, str]) -> Program:
    """The worker. It stops first of all, while it can still write its last result."""
    return Program(
        name="worker",
        argv=(sys.executable, "manage.py", "rqworker", *QUEUES),
        environment=environment,
        folder=settings.BASE_DIR,
        stop_signal=signal.SIGTERM,
        stop_phase=0,
        grace_seconds=_WORKER_GRACE_SECONDS,
        reloads=True,
    )


def scheduler(environment: Mapping[str, str]) -> Program:
    """The scheduler, which also reads JOB_SCHEDULES anew when settings change."""
    return Program(
        name="scheduler",
        argv=(sys.executable, "manage.py", "rqscheduler", "--interval", "5"),
        environment=environment,
        folder=settings.BASE_DIR,
        reloads=True,
    )


def answers(port: int) -> bool:
    """Say whether the web server answers at all."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/live", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def read_access(answer: Path) -> dict[str, str]:
    """Return the demo's username, password and token, and forget the file."""
    access: dict[str, str] = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    return access
