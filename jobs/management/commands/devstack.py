"""`manage.py devstack`: a laptop's PostgreSQL, Valkey and the site on them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.core.management.color import supports_color

from jobs.dev import modes
from jobs.dev.output import Stream

_ABOUT = """\
Start a development stack on unix sockets under var/: PostgreSQL and Valkey from their wheels,
migrations, demo data, the web server, a worker and the scheduler. Ctrl-C stops it in order.

  manage.py devstack                       everything, with a first job shown to its end
  manage.py devstack services              the two servers only, in the foreground
  manage.py devstack exec -- COMMAND ...   the two servers while COMMAND runs; its exit code

DATABASE_URL and REDIS_URL, where set, name servers to use instead of starting one. PORT is the
web server's, DEVSTACK_FOLDER the folder of data and sockets. Never for production."""


class Command(BaseCommand):
    """Parse the options; `jobs.dev.modes` does the rest."""

    help = _ABOUT
    requires_system_checks = ()
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """Keep the line breaks of the help text."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the modes and where the stack lives."""
        parser.add_argument("--folder", type=Path, help="instead of var/ (or DEVSTACK_FOLDER)")
        parser.add_argument("--port", type=int, help="instead of 8000 (or PORT)")
        parser.set_defaults(mode="run", command=[], fresh=False)
        modes_parser = parser.add_subparsers(dest="mode", metavar="{run,services,exec}")
        modes_parser.required = False
        for name, text in (
            ("run", "everything (the default)"),
            ("services", "only PostgreSQL and Valkey, in the foreground"),
            ("exec", "PostgreSQL and Valkey while a command runs"),
        ):
            mode = modes_parser.add_parser(name, help=text, description=text)
            mode.add_argument("--folder", type=Path, default=argparse.SUPPRESS)
            mode.add_argument("--fresh", action="store_true", help="empty the folder's data first")
            if name == "run":
                mode.add_argument("--port", type=int, default=argparse.SUPPRESS)
            if name == "exec":
                mode.add_argument("command", nargs="+", help="after --, with its arguments")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the mode and end with its exit code."""
        stream = Stream(sys.stdout, is_coloured=supports_color() and not options["no_color"])
        sys.exit(
            modes.run(
                modes.Request(
                    mode=options["mode"] or "run",
                    base=Path(settings.BASE_DIR) / "var",
                    folder=options["folder"] or _folder_of_environment(),
                    port=options["port"],
                    command=tuple(options["command"]),
                    is_fresh=options["fresh"],
                ),
                stream,
            )
        )


def _folder_of_environment() -> Path | None:
    named = os.environ.get("DEVSTACK_FOLDER")
    return Path(named) if named else None
