"""`jobs check`: would everything work? To gate a deploy."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core import checks

from jobs.cli.command import BAD, OK, Output, Subcommand
from jobs.insights import deploy


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--settings-only", action="store_true",
        help="ask neither database nor Redis: settings, schedules and job classes only",
    )  # fmt: skip


def _run(options: dict[str, Any], out: Output) -> int:
    messages = [
        message for message in checks.run_checks(tags=["jobs"]) if not message.is_silenced()
    ]
    rows = [] if options["settings_only"] else list(deploy.faults())
    out.data(
        {
            "ok": not messages and not rows,
            "settings": [
                {"id": message.id, "message": message.msg, "hint": message.hint}
                for message in messages
            ],
            "rows": rows,
        }
    )
    for message in messages:
        out.say(f"{message.id}: {message.msg}\n    {message.hint or ''}".rstrip())
    for sentence in rows:
        out.say(sentence)
    if messages or rows:
        return BAD
    out.say("No faults found.")
    return OK


SUBCOMMAND = Subcommand(
    name="check",
    about="Check settings, schedules and job classes, and the living rows against this code. "
    "Exit code 1: a fault was found.",
    examples="""\
  manage.py jobs check            # before switching traffic to a new release
  manage.py jobs check --settings-only --json""",
    add_arguments=_add_arguments,
    run=_run,
)
