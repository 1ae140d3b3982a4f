"""Where each measured system lives: a database and a Redis number of its own, same servers."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class under a small name
from redis import Redis


@dataclass(frozen=True, slots=True)
class Place:
    """The addresses of one system."""

    database_url: str
    redis_url: str

    def connect(self) -> Connection:
        """Return a connection in autocommit."""
        made = psycopg2.connect(self.database_url)
        made.autocommit = True
        return made

    def redis(self) -> Redis:
        """Return a client."""
        return Redis.from_url(self.redis_url)


def make(name: str, number: int) -> Place:
    """Make the database `bench_<name>` anew, and empty Redis number `number`.

    Raises:
        SystemExit: DATABASE_URL or REDIS_URL is missing.
    """
    base = here()
    with closing(base.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS bench_{name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE bench_{name}")
    database = urlsplit(base.database_url)._replace(path=f"/bench_{name}")
    place = Place(_written(database), _numbered(base.redis_url, number))
    place.redis().flushdb()
    return place


def here() -> Place:
    """Return the servers' own addresses."""
    try:
        return Place(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
    except KeyError as missing:
        raise SystemExit(
            f"{missing} is not set: run `make bench`, or set DATABASE_URL and REDIS_URL to servers "
            "that have nothing better to do."
        ) from None


def _numbered(redis_url: str, number: int) -> str:
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return _written(parts._replace(path=f"/{number}"))
    query = dict(parse_qsl(parts.query)) | {"db": str(number)}
    return _written(parts._replace(query=urlencode(query)))


def _written(parts: SplitResult) -> str:
    # urlunsplit would drop the empty host of `unix:///path`.
    scheme, netloc, path, query, _ = parts
    return f"{scheme}://{netloc}{path}" + (f"?{query}" if query else "")
