"""`jobs token`: issue an API token for a user; it is shown once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User

from jobs.cli.command import OK, Output, Subcommand, duration, unusable
from jobs.models import api_token, clock

MAX_NAME_LENGTH = 100


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("user", help="the username it acts as, with that user's permissions")
    parser.add_argument("--name", default="command line", help="what the token is for")
    parser.add_argument("--expires-in", help="30s, 15m, 2h, 90d (default: never)")


def _run(options: dict[str, Any], out: Output) -> int:
    owner = User.objects.filter(username=options["user"]).first()
    if owner is None:
        raise unusable(f"There is no user {options['user']!r}: manage.py createsuperuser")
    if not 0 < len(options["name"]) <= MAX_NAME_LENGTH:
        raise unusable(f"--name has 1 to {MAX_NAME_LENGTH} characters.")
    expires_at = clock.read() + duration(options["expires_in"]) if options["expires_in"] else None
    _, token = api_token.issue(owner, options["name"], expires_at)
    out.data(
        {
            "user": options["user"],
            "name": options["name"],
            "token": token,
            "expires_at": expires_at,
        }
    )
    out.say(f"{token}\nIt is not stored and can't be shown again. Use it so:")
    out.say(f"  curl -H 'Authorization: Bearer {token}' http://localhost:8000/api/jobs/")
    return OK


SUBCOMMAND = Subcommand(
    name="token",
    about="Issue an API token for a user and show it, once. Revoke it in the admin.",
    examples="""\
  manage.py jobs token ann --name 'nightly report' --expires-in 90d""",
    add_arguments=_add_arguments,
    run=_run,
)
