"""`jobs cancel`: stop jobs on purpose."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.cli import moves
from jobs.cli.command import Output, Subcommand, job_id, person
from jobs.lifecycle import control


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="+", help="the jobs' ids")
    parser.add_argument("--reason", default="", help="why, for people; kept on the row")


def _run(options: dict[str, Any], out: Output) -> int:
    job_ids = list(dict.fromkeys(job_id(text) for text in options["id"]))
    moved = control.cancel(job_ids, by=person(), reason=options["reason"])
    return moves.report(moved, out, word="cancelled")


SUBCOMMAND = Subcommand(
    name="cancel",
    about="Cancel jobs that have not ended; started ones stop shortly. Exit code 1: some refused.",
    examples="""\
  manage.py jobs cancel 019ab0c2-7b7f-7c3e-8a52-0d7f0c6a4f11 --reason 'wrong file'""",
    add_arguments=_add_arguments,
    run=_run,
)
