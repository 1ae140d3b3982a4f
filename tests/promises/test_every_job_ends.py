"""P3: every job that starts ends, and says why, when, where and after how many attempts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from django.test import Client

from jobs.dispatch import outbox
from jobs.lifecycle import control
from jobs.models import JobStatus
from jobs.statuses import TERMINAL, Status
from tests import jobs, wait
from tests.make import make_job
from tests.workers import Workers

pytestmark = [pytest.mark.process]

FAILED_TWICE = ["1 failed ConnectionError", "2 failed ConnectionError", "3 completed"]


class End(NamedTuple):
    """How a job ends, and what it must tell."""

    job: JobStatus
    status: str
    attempts: list[str]  # number, outcome, error class
    error: str = ""  # a pattern of the line on the row


def ends() -> dict[str, End]:
    cancelled, running = jobs.Echo.dispatch(queue="low"), jobs.Sleep.dispatch(seconds=300)
    unknown = make_job(job_class="LongGone", max_attempts=1)
    outbox.push([unknown])
    return {
        "returned": End(jobs.Echo.dispatch(), "completed", ["1 completed"]),
        "retried": End(jobs.FailTwice.dispatch(), "completed", FAILED_TWICE),
        "snoozed": End(jobs.SnoozeOnce.dispatch(), "completed", ["1 snoozed", "1 completed"]),
        "raised": End(
            jobs.AlwaysFail.dispatch(),
            "failed",
            ["1 failed RuntimeError"],
            "RuntimeError: this always fails",
        ),
        "left by exit": End(
            jobs.Leave.dispatch(how="exit"), "failed", ["1 failed SystemExit"], "SystemExit"
        ),
        "left its process": End(
            jobs.Leave.dispatch(how="_exit"),
            "failed",
            ["1 failed WorkerLost"],
            "exited with code 7",
        ),
        "killed": End(
            jobs.KillItself.dispatch(), "failed", ["1 failed WorkerLost"], "killed by SIGKILL"
        ),
        "timed out": End(
            jobs.SleepTooLong.dispatch(), "failed", ["1 failed TimedOut"], r"timeout of 0:00:01\."
        ),
        "timed out and deaf": End(
            jobs.TightCall.dispatch(), "failed", ["1 failed TimedOut"], "its runner was killed"
        ),
        "returned no JSON": End(
            jobs.Return.dispatch(what="nan"),
            "failed",
            ["1 failed InvalidResult"],
            "/rows/1|rows.*1",
        ),
        "cancelled itself": End(
            jobs.CancelItself.dispatch(), "cancelled", ["1 cancelled"], "nothing to do today"
        ),
        "cancelled before it ran": End(cancelled, "cancelled", [], "cancelled by ann: not today"),
        "cancelled while it ran": End(
            running, "cancelled", ["1 cancelled"], "cancelled by ann: not today"
        ),
        "of no class": End(unknown, "failed", ["1 failed UnknownJob"], "No job class is named"),
    }


def test_every_kind_of_end_tells_its_whole_story(workers: Workers, admin_client: Client) -> None:
    by_kind = ends()
    worker = workers.start("default", "--concurrency", "3")
    name = worker.row.name
    control.cancel([by_kind["cancelled before it ran"].job.id], by="ann", reason="not today")
    running = wait.until_status(by_kind["cancelled while it ran"].job, Status.STARTED)
    control.cancel([running.id], by="ann", reason="not today")
    wait.until(
        "the end of every job",
        lambda: not JobStatus.objects.exclude(status__in=TERMINAL).exists(),
    )

    faults = [
        f"{kind}: {fault}"
        for kind, end in by_kind.items()
        for fault in faults_of(end, admin_client.get(f"/api/jobs/{end.job.id}/").json(), name)
    ]
    assert not faults, "\n".join(faults)


def faults_of(end: End, told: dict[str, Any], worker: str) -> Iterator[str]:
    """Yield what its row, as REST tells it, says wrongly."""
    attempts = [
        f"{one['number']} {one['outcome']} {one['error_class']}".strip() for one in told["attempts"]
    ]
    if (told["status"], attempts) != (end.status, end.attempts):
        yield f"ended {told['status']} after {attempts}"
    if not re.search(end.error, told["error"] or "") or bool(told["error"]) != bool(end.error):
        yield f"says why: {told['error']}"
    if told["attempt"] != len({one["number"] for one in told["attempts"]}):
        yield f"counts {told['attempt']} attempts"
    if {one["worker"] for one in told["attempts"]} - {worker}:
        yield "doesn't say where"
    moments = [told["created_at"]]
    for one in told["attempts"]:
        moments += [one["started_at"], one["ended_at"]]
    moments.append(told["finished_at"])
    if None in moments or sorted(moments, key=datetime.fromisoformat) != moments:
        yield f"doesn't say when: {moments}"
