"""What the machine can do at all, and how durably: the limits beside which the figures stand."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable

from benchmarks.places import Place
from benchmarks.rounds import Spread

SAMPLE_SECONDS = 0.2
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")


class Machine:
    """The two servers, asked by one client each."""

    def __init__(self, place: Place) -> None:
        self.connection = place.connect()
        self.cursor = self.connection.cursor()
        self.cursor.execute("CREATE TABLE raw (id bigserial PRIMARY KEY, value jsonb NOT NULL)")
        self.redis = place.redis()
        self.inserts: list[float] = []
        self.trips: list[float] = []

    def inserts_a_second(self) -> float:
        """Return how many INSERTs a second, a commit each, one client of psycopg2 gets."""
        self.cursor.execute("TRUNCATE raw")
        sql = "INSERT INTO raw (value) VALUES (%s)"
        self.inserts.append(_rate(lambda: self.cursor.execute(sql, ('{"value": "x"}',))))
        return self.inserts[-1]

    def trips_a_second(self) -> float:
        """Return how many round trips a second one client of Redis gets."""
        self.trips.append(_rate(lambda: self.redis.get("nothing")))
        return self.trips[-1]

    def about(self) -> list[str]:
        """Return what stands above the figures."""
        self.cursor.execute("SHOW server_version")
        version = self.cursor.fetchone()
        values = []
        for name in SETTINGS:
            self.cursor.execute(f"SHOW {name}")
            values.append(f"{name}={(self.cursor.fetchone() or ('?',))[0]}")
        server = self.redis.info("server")
        kept = self.redis.config_get("append*")
        redis = server.get("valkey_version") or server["redis_version"]
        return [
            f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
            f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start",
            f"PostgreSQL {(version or ('?',))[0]}: {', '.join(values)}",
            f"{server.get('server_name', 'redis')} {redis}: "
            f"appendonly={kept.get('appendonly')}, appendfsync={kept.get('appendfsync')}",
        ]

    def limits(self) -> list[str]:
        """Return what one client got, in this run."""
        return [
            f"INSERT commits/s, one client: {Spread.of(self.inserts)}",
            f"Redis round trips/s, one client: {Spread.of(self.trips)}",
        ]


def _rate(do: Callable[[], object]) -> float:
    count = 0
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < SAMPLE_SECONDS:
        do()
        count += 1
    return count / passed
