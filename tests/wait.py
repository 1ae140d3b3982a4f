"""Wait until something is so; tell everything one would want to know when it never is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

import psutil
from django.db import Error as DatabaseFault

from jobs.broker import client
from jobs.models import JobAttempt, JobStatus, JobWorker

T = TypeVar("T")

# Shorter where a test is to fail: tests/prove.
LIMIT_SECONDS = float(os.environ.get("TEST_WAIT_SECONDS", "90"))
_LOOK_SECONDS = 0.02


def until(
    what: str,
    look: Callable[[], T],
    *,
    limit_seconds: float = LIMIT_SECONDS,
    scene: Callable[[], str] | None = None,
) -> T:
    """Return the first truthy answer of `look`, asked again and again.

    Args:
        what: What is waited for.
        look: The question.
        limit_seconds: How long to ask.
        scene: What to tell when it never comes, where a server may hang that one would ask.

    Raises:
        AssertionError: After the limit, with the rows, the Redis keys and the process tree.
    """
    deadline = time.monotonic() + limit_seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"Never came: {what}\n{(scene or _scene)()}")
        time.sleep(_LOOK_SECONDS)


def until_status(job: JobStatus, *statuses: str, limit_seconds: float = LIMIT_SECONDS) -> JobStatus:
    """Wait until `job` is in one of `statuses`; return it fresh."""

    def look() -> bool:
        job.refresh_from_db()
        return job.status in statuses

    until(f"{job} in {' or '.join(statuses)}", look, limit_seconds=limit_seconds)
    return job


def _scene() -> str:
    rows = []
    for tell in (_rows, _keys, _processes):
        try:
            rows += tell()
        except (client.Unreachable, DatabaseFault) as error:
            rows.append(f"{tell.__name__}: {error}")
    return "\n".join(rows)


def _rows() -> list[str]:
    rows = [
        f"job {job.job_class} {job.id} {job.status} attempt={job.attempt} "
        f"claim={job.claim} {job.error}"
        for job in JobStatus.objects.order_by("created_at")[:50]
    ]
    rows += [
        f"attempt {attempt.job_id} {attempt.number} {attempt.outcome} {attempt.message}"
        for attempt in JobAttempt.objects.order_by("ended_at")[:50]
    ]
    rows += [
        f"worker {worker.name} {worker.pid} heartbeat={worker.heartbeat_at} "
        f"stopped={worker.stopped_at} dead={worker.dead_at} {worker.runners}"
        for worker in JobWorker.objects.all()[:20]
    ]
    return rows


def _keys() -> list[str]:
    return [f"key {key.decode(errors='replace')}" for key in client.for_work().scan_iter(count=500)]


def _processes() -> list[str]:
    return [
        f"process {process.pid} {_described(process)}"
        for process in psutil.Process(os.getpid()).children(recursive=True)
    ]


def _described(process: psutil.Process) -> str:
    try:
        return f"{process.status()} {' '.join(process.cmdline())[:120]}"
    except psutil.Error as error:
        return str(error)
