"""`manage.py jobs`: see and steer jobs from the command line."""

from __future__ import annotations

import os
import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFault

from jobs.cli import (
    backfill,
    cancel,
    check,
    demo,
    dispatch,
    health,
    prune,
    queues,
    retry,
    show,
    token,
)
from jobs.cli import list as list_jobs
from jobs.cli.command import BAD, Output, refuse_other_bytes
from jobs.processes.outage import is_postgresql_away

_SUBCOMMANDS = {
    module.SUBCOMMAND.name: module.SUBCOMMAND
    for module in (
        list_jobs,
        show,
        dispatch,
        retry,
        cancel,
        queues,
        health,
        check,
        prune,
        backfill,
        token,
        demo,
    )
}
_EXIT_CODES = """\
exit codes: 0 all is well; 1 the answer is bad (a fault, a refusal, a job that did not complete);
2 the question is (usage, an unknown job, user or id)"""


class Command(BaseCommand):
    """Take the subcommand's name, run it, end with its exit code."""

    help = "See and steer jobs."
    requires_system_checks = []  # `jobs check` reports them, the others must work beside a fault

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a parser for each subcommand."""
        parser.epilog = _EXIT_CODES
        subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        for subcommand in _SUBCOMMANDS.values():
            added = subparsers.add_parser(
                subcommand.name,
                help=subcommand.about,
                description=subcommand.about,
                epilog=f"examples:\n{subcommand.examples}\n\n{_EXIT_CODES}",
                formatter_class=RawDescriptionHelpFormatter,
            )
            subcommand.add_arguments(added)
            added.add_argument("--json", action="store_true", help="print JSON, for programs")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the subcommand."""
        refuse_other_bytes(options)
        out = Output(stream=self.stdout, is_json=options["json"])
        try:
            code = _SUBCOMMANDS[options["subcommand"]].run(options, out)
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read it, as `| head`, has enough. Python flushes once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = BAD
        except DatabaseFault as error:
            if not is_postgresql_away(error):
                raise
            message = f"The database doesn't answer: {str(error).strip()}"
            raise CommandError(message, returncode=BAD) from error
        if code:
            sys.exit(code)
