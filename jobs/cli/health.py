"""`jobs health`: does what jobs need answer?"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from jobs.cli.command import BAD, OK, Output, Subcommand
from jobs.insights import health


def _add_arguments(_: ArgumentParser) -> None:
    """Take none."""


def _run(_: dict[str, Any], out: Output) -> int:
    found = health.check()
    is_ok = not found.failed and found.has_worker
    out.data(
        {
            "ok": is_ok,
            "database": found.database,
            "redis": found.redis,
            "worker": found.has_worker,
        }
    )
    out.say(f"database  {_answer(found.database)}")
    out.say(f"redis     {_answer(found.redis)}")
    out.say(f"worker    {_worker(found)}")
    return OK if is_ok else BAD


def _answer(answered: bool) -> str:  # noqa: FBT001 - the one thing it says
    return "ok" if answered else "does not answer"


def _worker(found: health.Health) -> str:
    if found.has_worker:
        return "ok"
    if not found.database:
        return "not known"
    return "none is alive: jobs wait. Start one: manage.py rqworker"


SUBCOMMAND = Subcommand(
    name="health",
    about="Ask the database, Redis and the workers' heartbeats. Exit code 1: one is not well.",
    examples="""\
  manage.py jobs health && echo all is well
  manage.py jobs health --json""",
    add_arguments=_add_arguments,
    run=_run,
)
