"""`jobs demo`: the demo's tables and file, and in development its user and token."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import transaction

from jobs import permissions
from jobs.builtin import demo
from jobs.cli.command import OK, Output, Subcommand
from jobs.models import ApiToken, api_token

USERNAME = "demo"
_DEVELOPMENT_PASSWORD = "demo"  # noqa: S105 - known to all, and made in development only


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--yes", action="store_true",
        help="make the user and its token in production too: no superuser, a random password",
    )  # fmt: skip


def _run(options: dict[str, Any], out: Output) -> int:
    is_development = getattr(settings, "ENVIRONMENT", "production") == "development"
    made = demo.prepare()
    out.say(f"Tables: {', '.join(made.tables)}. {made.message}")
    if not (is_development or options["yes"]):
        out.data({"username": None, "password": None, "token": None})
        out.say("This is production: no user was made (--yes makes one that is no superuser).")
        return OK
    with transaction.atomic():
        user, password = _developer() if is_development else _guest()
        ApiToken.objects.filter(owner=user, name=USERNAME).delete()
        _, token = api_token.issue(user, USERNAME)
    out.data({"username": USERNAME, "password": password, "token": token})
    out.say(f"User: {USERNAME}, password: {password or '(as it was)'}\nToken: {token}")
    return OK


def _developer() -> tuple[User, str]:
    """A superuser with the known password, whatever it was before."""
    user, _ = User.objects.get_or_create(username=USERNAME)
    user.is_active = user.is_staff = user.is_superuser = True
    if not user.check_password(_DEVELOPMENT_PASSWORD):
        user.set_password(_DEVELOPMENT_PASSWORD)
    user.save()
    return user, _DEVELOPMENT_PASSWORD


def _guest() -> tuple[User, str | None]:
    """A user who may see, run, retry and cancel jobs; the password is told once."""
    user, is_new = User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True})
    if not is_new:
        return user, None
    password = secrets.token_urlsafe(16)
    user.set_password(password)
    user.save()
    codenames = [
        name.removeprefix("jobs.")
        for name in (permissions.ADD, permissions.VIEW, permissions.CHANGE)
    ]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="jobs", codename__in=codenames)
    )
    return user, password


SUBCOMMAND = Subcommand(
    name="demo",
    about="Make the demo's tables and file, and in development a superuser and a token. "
    "May be run again: the user stays, the token is replaced.",
    examples="""\
  manage.py jobs demo
  manage.py jobs demo --json      # {"username": ..., "password": ..., "token": ...}""",
    add_arguments=_add_arguments,
    run=_run,
)
