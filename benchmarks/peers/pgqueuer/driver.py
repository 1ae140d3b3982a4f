"""Enqueues PgQueuer's jobs; many at once by lists. An entrypoint is its queue."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from benchmarks import driver


class PgQueuer:
    """`Queries.enqueue`, on one loop and one connection."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(asyncpg.connect(os.environ["DATABASE_URL"]))
        self.queries = Queries(AsyncpgDriver(self.connection))

    def prepare(self) -> None:
        """Make the tables, as durable as the others'."""
        self.loop.run_until_complete(self.queries.install())

    def one(self, job: str, queue: str, value: Any) -> None:
        """Enqueue one job."""
        del queue
        payload = json.dumps(value).encode()
        self.loop.run_until_complete(self.queries.enqueue(job, payload))

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Enqueue one for each value."""
        del queue
        payloads: list[bytes | None] = [json.dumps(value).encode() for value in values]
        count = len(payloads)
        self.loop.run_until_complete(self.queries.enqueue([job] * count, payloads, [0] * count))

    def close(self) -> None:
        """Keep it: no figure of the peers counts what the database did."""


if __name__ == "__main__":
    driver.serve(PgQueuer())
