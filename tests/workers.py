"""Real worker processes for tests: started as people start them, known to live by their row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
from django.conf import settings
from django.db import connection

from jobs.models import JobWorker
from tests import wait

# Runs a command as PID 1 of a namespace of its own, on the same files and under the same hostname.
CONTAINER = (
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    *("--pid", "--fork", "--mount-proc", "--kill-child"),
)
MANAGE = str(Path(settings.BASE_DIR) / "manage.py")


def environment(**jobs_seconds: float) -> dict[str, str]:
    """Return the environment of a process that works on this test's database and Redis.

    Args:
        jobs_seconds: Settings of JOBS that differ, in lower case; durations in seconds: `grace=1`.
    """
    database = connection.settings_dict
    place = quote(database["HOST"] or "", safe="/")
    port = f":{database['PORT']}" if database["PORT"] else ""
    secret = f":{quote(database['PASSWORD'])}" if database["PASSWORD"] else ""
    where = f"/{place}" if place.startswith("/") else f"{place}{port}"
    return {
        **os.environ,
        "DATABASE_URL": f"postgres://{database['USER']}{secret}@{where}/{database['NAME']}",
        "REDIS_URL": settings.RQ_REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "ENVIRONMENT": "development",
        "TEST_JOBS_SECONDS": json.dumps(jobs_seconds),
        "PYTHONUNBUFFERED": "1",
    }


@dataclass(slots=True)
class Worker:
    """One running `manage.py rqworker`."""

    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def row(self) -> JobWorker:
        """Its row."""
        return JobWorker.objects.filter(pid=self.process.pid).latest("started_at")

    def until_said(self, words: str) -> None:
        """Wait until its log has these words; asks no server, which may hang."""
        wait.until(words, lambda: words in self.log, scene=lambda: self.log)

    def tree(self) -> list[psutil.Process]:
        """Its mother, runners and duties, and what their jobs started."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def runners(self) -> list[int]:
        """The pids of its runners, by its row."""
        return [runner["pid"] for runner in self.row.runners if runner["pid"]]

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, limit_seconds: float = wait.LIMIT_SECONDS) -> int:
        """Wait for its end; return its exit code."""
        try:
            return self.process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The worker didn't end:\n{self.log}") from None

    def stop(self) -> int:
        """Stop it as a deploy does; return its exit code."""
        self.signal()
        return self.wait()


@dataclass(slots=True)
class Workers:
    """All workers of one test."""

    all: list[Worker] = field(default_factory=list)
    _seen: dict[int, psutil.Process] = field(default_factory=dict)

    def start(
        self,
        *arguments: str,
        wait_for_row: bool = True,
        inside: Sequence[str] = (),
        **jobs_seconds: float,
    ) -> Worker:
        """Start `manage.py rqworker ARGUMENTS`; return when its row and its runners' stand.

        Args:
            arguments: The command's.
            wait_for_row: Whether to return only then.
            inside: A command that runs the worker's, CONTAINER for instance.
            jobs_seconds: As `environment` takes them.
        """
        handle, name = tempfile.mkstemp(prefix="worker-", suffix=".log")
        with os.fdopen(handle, "wb") as log:
            process = subprocess.Popen(
                [*inside, sys.executable, MANAGE, "rqworker", *arguments],
                env=environment(**jobs_seconds),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=settings.BASE_DIR,
            )
        worker = Worker(process, Path(name))
        self.all.append(worker)
        if wait_for_row:
            wait.until(f"the row of worker {process.pid}\n", lambda: self._is_up(worker))
        return worker

    def _is_up(self, worker: Worker) -> bool:
        if worker.process.poll() is not None:
            raise AssertionError(
                f"The worker ended with {worker.process.returncode}:\n{worker.log}"
            )
        return JobWorker.objects.filter(pid=worker.process.pid, stopped_at=None).exists()

    def run(self, *arguments: str, **jobs_seconds: float) -> Worker:
        """Run a worker to its own end (with --burst or --max-jobs); return it, ended."""
        worker = self.start(*arguments, wait_for_row=False, **jobs_seconds)
        worker.wait()
        return worker

    def end(self) -> None:
        """Kill what still runs, and everything below it; show what failed tests want to read."""
        for worker in self.all:
            below = worker.tree()
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
            for process in below:
                _kill(process)
            print(worker.log)  # noqa: T201 - pytest shows it for a failed test
            worker.log_path.unlink()


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
        process.wait(5)
    except psutil.NoSuchProcess:
        return
