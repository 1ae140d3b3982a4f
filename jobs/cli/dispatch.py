"""`jobs dispatch`: make a job, and follow it to its end."""

from __future__ import annotations

import json
import math
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs import registry
from jobs.cli import describe
from jobs.cli.command import BAD, OK, Output, Subcommand, duration, unusable
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import DispatchError
from jobs.insights import how_far, search
from jobs.models import JobStatus
from jobs.statuses import Status

_LOOK_SECONDS = 0.5


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("job", help="the job class")
    parser.add_argument(
        "param", nargs="*", help="key=text, or key:=JSON for a list, a dict or null"
    )
    parser.add_argument(
        "--params", default="{}",
        help="params as a JSON object; - reads it from standard input, unseen by `ps`",
    )  # fmt: skip
    parser.add_argument("--queue", help="where it waits (default: the job class's)")
    parser.add_argument(
        "--at", help="from when it may start: +30s, +15m, +2h, +7d, or 2026-12-01T08:00:00+00:00"
    )
    parser.add_argument("--tag", action="append", default=[], help="a label; may be repeated")
    parser.add_argument(
        "--wait", nargs="?", type=float, const=math.inf, metavar="SECONDS",
        help="follow it to its end (at most so many seconds); exit code 0 only if it completed",
    )  # fmt: skip


def _run(options: dict[str, Any], out: Output) -> int:
    try:
        request = Request(
            spec=registry.get(options["job"]),
            params=_json_params(options["params"]) | _pairs(options["param"]),
            queue=options["queue"],
            run_at=_run_at(options["at"]),
            tags=tuple(options["tag"]),
        )
        job = create.dispatch_one(request)
    except DispatchError as error:
        raise unusable(str(error)) from error
    out.say(f"Job {job.id}: {job.status} in queue {job.queue}")
    if options["wait"] is None:
        out.data(describe.summary(job))
        return OK
    return _follow(job, options["wait"], out)


def _json_params(text: str) -> dict[str, Any]:
    value = _json(sys.stdin.read() if text == "-" else text, "--params")
    if not isinstance(value, dict):
        raise unusable('--params must be a JSON object: \'{"source": "airports.csv"}\'')
    return value


def _pairs(items: Sequence[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals:
            raise unusable(f"{item!r} is no param: write key=text or key:=JSON.")
        if name.endswith(":"):
            params[name[:-1]] = _json(text, name[:-1])
        else:
            params[name] = text
    return params


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise unusable(f"{name} is no JSON: {error}") from error


def _run_at(text: str | None) -> datetime | timedelta | None:
    if text is None:
        return None
    if text.startswith("+"):
        return duration(text[1:])
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise unusable(f"--at {text!r} is neither a wait (+15m) nor a moment (ISO 8601).") from None


def _follow(job: JobStatus, limit_seconds: float, out: Output) -> int:
    try:
        job = _ended(job, time.monotonic() + limit_seconds, out)
    except KeyboardInterrupt:
        out.say(f"\nJob {job.id} goes on: manage.py jobs show {job.id}")
        return BAD
    out.data(describe.whole(job, search.attempts(job, newest=100)))
    if job.status == Status.COMPLETED:
        out.say(f"Job {job.id}: completed {json.dumps(job.result, ensure_ascii=False)}")
        return OK
    out.say(f"Job {job.id}: {job.status} {job.error}".rstrip())
    return BAD


def _ended(job: JobStatus, deadline: float, out: Output) -> JobStatus:
    """Say how the job goes until it ends or `deadline` comes; return it as it was last seen."""
    said = ""
    while not job.is_terminal and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = search.job_with_names(job.id)
        if now is None:
            raise unusable(f"Job {job.id} is gone.")
        job = now
        how = how_far.said(job.progress) if job.status == Status.STARTED else ""
        line = f"{job.status} {how}".rstrip()
        if line != said:
            out.say(f"  {line}")
            said = line
    return job


SUBCOMMAND = Subcommand(
    name="dispatch",
    about="Dispatch a job.",
    examples="""\
  manage.py jobs dispatch TruncateTable schema=public table_name=daily_stats --wait
  manage.py jobs dispatch ImportCsv source=airports.csv table=public.airports 'key:=["icao"]'
  manage.py jobs dispatch ImportCsv --params - --at +2h < params.json""",
    add_arguments=_add_arguments,
    run=_run,
)
