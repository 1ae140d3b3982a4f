"""`jobs retry`: one more attempt for ended jobs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.cli import moves
from jobs.cli.command import Output, Subcommand, job_id, person
from jobs.lifecycle import control


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="+", help="the jobs' ids")


def _run(options: dict[str, Any], out: Output) -> int:
    job_ids = list(dict.fromkeys(job_id(text) for text in options["id"]))
    return moves.report(control.retry(job_ids, by=person()), out, word="queued again")


SUBCOMMAND = Subcommand(
    name="retry",
    about="Retry failed and cancelled jobs, run completed ones again. Exit code 1: some refused.",
    examples="""\
  manage.py jobs retry 019ab0c2-7b7f-7c3e-8a52-0d7f0c6a4f11
  manage.py jobs list --status failed --json | jq -r '.[].id' | xargs manage.py jobs retry""",
    add_arguments=_add_arguments,
    run=_run,
)
