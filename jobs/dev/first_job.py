"""The first thing a person sees: the addresses, and one real job followed to its end over REST."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from jobs.dev.output import Stream
from jobs.insights import how_far

FIRST_JOB = {
    "job": "ImportCsv",
    "params": {
        "source": "airports.csv",
        "table": "public.airports",
        "mode": "upsert",
        "key": ["icao"],
    },
    "queue": "etl",
}
_SECOND_JOB = {
    "job": "TruncateTable",
    "params": {"schema": "public", "table_name": "daily_stats"},
    "queue": "low",
}
_TERMINAL = {"completed", "failed", "cancelled"}
_POLL_SECONDS = 0.2
_WAIT_SECONDS = 120.0


def banner(address: str, access: Mapping[str, str]) -> str:
    """Return the addresses, the demo user, and two commands that work when pasted."""
    bearer = f"-H 'Authorization: Bearer {access['token']}'"
    body = json.dumps(_SECOND_JOB)
    return f"""
  Jobsite runs at {address}

  Admin      {address}/admin/     user {access["username"]}, password {access["password"]}
  REST docs  {address}/docs
  Token      {access["token"]}

  Dispatch a job, and list the newest:

    curl -s {bearer} -H 'Content-Type: application/json' \\
      -d '{body}' \\
      {address}/create-jobs/

    curl -s {bearer} {address}/api/jobs/

  Ctrl-C stops everything, the worker first.
"""


def follow(address: str, token: str, stream: Stream, is_stopping: Callable[[], bool]) -> None:
    """Dispatch the first job and show its progress and its end."""
    try:
        made = _ask(f"{address}/create-jobs/", token, FIRST_JOB)
        job_id = made["job_id"]
        stream.line("first job", f"ImportCsv {job_id}: {made['status']}")
        _show(f"{address}/job-status/{job_id}", token, stream, is_stopping)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        stream.line("first job", f"{error.url} answered {error.code}: {said}")
    except OSError as error:
        stream.line("first job", f"{address} did not answer: {error}")


def _show(url: str, token: str, stream: Stream, is_stopping: Callable[[], bool]) -> None:
    shown = ""
    until = time.monotonic() + _WAIT_SECONDS
    while not is_stopping():
        job = _ask(url, token)
        said = _describe(job)
        if said != shown:
            stream.line("first job", said)
            shown = said
        if job["status"] in _TERMINAL:
            bearer = f"-H 'Authorization: Bearer {token}'"
            stream.write(f"\n  Its whole answer:\n\n    curl -s {bearer} {url}\n")
            return
        if time.monotonic() > until:
            stream.line("first job", f"not at its end after {_WAIT_SECONDS:g} s: {url}")
            return
        time.sleep(_POLL_SECONDS)


def _describe(job: Mapping[str, Any]) -> str:
    match job["status"], job.get("progress"):
        case "completed", _:
            return f"completed: {json.dumps(job['result'])}"
        case "failed" | "cancelled" as end, _:
            return f"{end}: {job.get('error')}"
        case status, None:
            return f"{status}"
        case status, progress:
            return f"{status}: {how_far.said(progress)}"


def _ask(url: str, token: str, body: Mapping[str, Any] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own address
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)
