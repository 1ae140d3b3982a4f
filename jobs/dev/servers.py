"""The two servers of a stack, or those that DATABASE_URL and REDIS_URL name."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping

import redis
from django.core.management.base import CommandError
from django.db import DatabaseError, connection

from jobs.dev import postgres as postgres_server
from jobs.dev import valkey as valkey_server
from jobs.dev.folder import Folder
from jobs.dev.postgres import Postgres
from jobs.dev.stack import Stack
from jobs.dev.valkey import Valkey

START_SECONDS = 60.0
"""Recovery after a crash may take its time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What was chosen: ours where a field is set, the given address where it is None."""

    postgres: Postgres | None
    valkey: Valkey | None
    given: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What any process needs to reach them."""
        return {
            "DATABASE_URL": self.postgres.url if self.postgres else self.given["DATABASE_URL"],
            "REDIS_URL": self.valkey.url if self.valkey else self.given["REDIS_URL"],
            "ENVIRONMENT": "development",
        }


def choose(folder: Folder, given: Mapping[str, str], *, is_fresh: bool = False) -> Servers:
    """Decide which servers to start; start nothing.

    Args:
        folder: Where they keep their data.
        given: The environment; its DATABASE_URL and REDIS_URL win.
        is_fresh: Throw away what they kept.

    Raises:
        CommandError: Nothing serves, or a given server does not answer.
    """
    if given.get("DATABASE_URL"):
        _try_database()
    if given.get("REDIS_URL"):
        _try_redis(given["REDIS_URL"])
    postgres = None if given.get("DATABASE_URL") else postgres_server.find(folder)
    valkey = None if given.get("REDIS_URL") else valkey_server.find(folder)
    if is_fresh:
        for data in (postgres and postgres.data, valkey and valkey.data):
            if data:
                shutil.rmtree(data, ignore_errors=True)
    if postgres:
        postgres_server.check(postgres)
    return Servers(postgres=postgres, valkey=valkey, given=given)


def start(stack: Stack, servers: Servers) -> bool:
    """Start ours and wait until they answer; False when the stack was told to stop meanwhile."""
    waiting: list[tuple[str, Callable[[], bool]]] = []
    if servers.valkey:
        valkey = servers.valkey
        valkey.data.mkdir(mode=0o700, exist_ok=True)
        stack.start(valkey.program)
        stack.say("valkey", _described(valkey.settings))
        waiting.append(("Valkey", lambda: valkey_server.is_ready(valkey)))
    if servers.postgres:
        postgres = servers.postgres
        postgres_server.initialise(postgres)
        stack.start(postgres.program)
        stack.say("postgres", _described(postgres.settings))
        waiting.append(("PostgreSQL", lambda: postgres_server.is_ready(postgres)))
    return all(
        stack.wait_until(is_ready, seconds=START_SECONDS, what=what) for what, is_ready in waiting
    )


def _described(settings: Mapping[str, str]) -> str:
    return "runs with " + " ".join(f"{name}={value!r}" for name, value in settings.items())


def _try_database() -> None:
    # Settings took DATABASE_URL from the same environment, so this asks what the site will ask.
    try:
        connection.ensure_connection()
        version = connection.cursor().connection.server_version // 10_000
    except DatabaseError as error:
        raise CommandError(f"DATABASE_URL names a server that does not serve: {error}") from error
    finally:
        connection.close()
    if version < postgres_server.MIN_MAJOR:
        raise CommandError(
            f"DATABASE_URL names PostgreSQL {version}: {postgres_server.MIN_MAJOR} is the oldest."
        )


def _try_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise CommandError(f"REDIS_URL names a server that does not serve: {error}") from error
    if int(version.partition(".")[0]) < valkey_server.MIN_MAJOR:
        raise CommandError(
            f"REDIS_URL names version {version}: {valkey_server.MIN_MAJOR} is the oldest."
        )
