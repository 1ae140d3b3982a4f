"""`jobs list`: the newest jobs, filtered."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.cli import describe
from jobs.cli.command import OK, Output, Subcommand, unusable
from jobs.insights import how_far, search
from jobs.models import JobStatus
from jobs.statuses import Status

MAX_LIMIT = 10_000
_MAX_ERROR = 60


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--status", action="append", default=[], choices=[status.value for status in Status],
        help="only this status; may be repeated",
    )  # fmt: skip
    parser.add_argument("--job", default="", help="only this job class")
    parser.add_argument("--queue", default="", help="only this queue")
    parser.add_argument("--tag", default="", help="only jobs with this tag")
    parser.add_argument("--limit", type=int, default=20, help="at most so many (default: 20)")


def _run(options: dict[str, Any], out: Output) -> int:
    if not 1 <= options["limit"] <= MAX_LIMIT:
        raise unusable(f"--limit is a number from 1 to {MAX_LIMIT:,}.")
    where = search.Filter(
        statuses=tuple(Status(status) for status in options["status"]),
        job=options["job"],
        queue=options["queue"],
        tag=options["tag"],
    )
    jobs, there_are_more = _found(where, options["limit"])
    out.data([describe.summary(job) for job in jobs])
    out.table(
        [
            ("ID", "STATUS", "JOB", "QUEUE", "ATTEMPT", "CREATED", "NOTE"),
            *(_row(job) for job in jobs),
        ]
    )
    if there_are_more:
        out.say(f"There are more: --limit shows up to {MAX_LIMIT:,}.")
    return OK


def _found(where: search.Filter, limit: int) -> tuple[list[JobStatus], bool]:
    # One look goes only so far down; whoever waits at a terminal may end it any time.
    page = search.page(where, size=limit)
    jobs = page.jobs
    while page.next is not None and len(jobs) < limit:
        page = search.page(where, after=page.next, size=limit - len(jobs))
        jobs += page.jobs
    return jobs, page.next is not None


def _row(job: JobStatus) -> tuple[object, ...]:
    return (
        job.id,
        job.status,
        job.job_class,
        job.queue,
        f"{job.attempt}/{job.max_attempts}",
        f"{job.created_at:%Y-%m-%d %H:%M:%S}",
        _note(job),
    )


def _note(job: JobStatus) -> str:
    if job.status == Status.STARTED:
        return how_far.said(job.progress)
    return job.error if len(job.error) <= _MAX_ERROR else f"{job.error[:_MAX_ERROR]}..."


SUBCOMMAND = Subcommand(
    name="list",
    about="List jobs, newest first.",
    examples="""\
  manage.py jobs list --status failed --queue etl
  manage.py jobs list --job ImportCsv --limit 5
  manage.py jobs list --status queued --status retrying --json""",
    add_arguments=_add_arguments,
    run=_run,
)
