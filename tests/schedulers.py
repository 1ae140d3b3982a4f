"""Real scheduler processes for tests, started as people start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from tests import wait
from tests.workers import MANAGE, Worker, environment

SETTINGS = "tests.schedules.process_settings"  # their JOB_SCHEDULES
GIVEN_SETTINGS = "tests.schedules.given_settings"  # those of a test


@dataclass(slots=True)
class Scheduler(Worker):
    """One running `manage.py rqscheduler`: a process as a worker's, without a row."""

    @property
    def is_up(self) -> bool:
        """Whether it has read its schedules."""
        if self.process.poll() is not None:
            raise AssertionError(f"It ended with {self.process.returncode}:\n{self.log}")
        return "registered" in self.log

    def kill(self) -> None:
        """Kill it outright."""
        self.process.kill()
        self.process.wait(wait.LIMIT_SECONDS)


@dataclass(slots=True)
class Schedulers:
    """All schedulers of one test."""

    all: list[Scheduler] = field(default_factory=list)

    def start(
        self,
        *,
        waits: bool = True,
        jobs_seconds: Mapping[str, float] | None = None,
        **variables: str,
    ) -> Scheduler:
        """Start one on this test's database and Redis; return when it has read its schedules.

        Args:
            waits: Whether to return only then.
            jobs_seconds: As tests.workers.environment takes them.
            variables: Of its environment.
        """
        handle, name = tempfile.mkstemp(prefix="scheduler-", suffix=".log")
        with os.fdopen(handle, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, MANAGE, "rqscheduler"],
                env={
                    **environment(**(jobs_seconds or {})),
                    "DJANGO_SETTINGS_MODULE": SETTINGS,
                    **variables,
                },
                cwd=settings.BASE_DIR,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        scheduler = Scheduler(process, Path(name))
        self.all.append(scheduler)
        if waits:
            wait.until(f"the schedules of scheduler {process.pid}", lambda: scheduler.is_up)
        return scheduler

    def start_with(
        self, job_schedules: Mapping[str, Any], *, waits: bool = True, doomed: str = ""
    ) -> Scheduler:
        """Start one with these JOB_SCHEDULES, in JSON; `doomed` as tests/doom.py takes it."""
        return self.start(
            waits=waits,
            DJANGO_SETTINGS_MODULE=GIVEN_SETTINGS,
            TEST_JOB_SCHEDULES=json.dumps(job_schedules),
            TEST_DOOM=doomed,
        )

    def end(self) -> None:
        """Kill what still runs; show what failed tests want to read."""
        for scheduler in self.all:
            if scheduler.process.poll() is None:
                scheduler.kill()
            print(scheduler.log)  # noqa: T201 - pytest shows it for a failed test
            scheduler.log_path.unlink()
