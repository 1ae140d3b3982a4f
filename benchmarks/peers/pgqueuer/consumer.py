"""The measured jobs as entrypoints, for `pgq run benchmarks.peers.pgqueuer.consumer:main`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job

from benchmarks import work


@asynccontextmanager
async def main() -> AsyncIterator[PgQueuer]:
    """Give a consumer with both."""
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["DATABASE_URL"])))

    @pgq.entrypoint("Echo")
    async def echo(job: Job) -> None:
        work.echo(json.loads(job.payload or b"null"))

    @pgq.entrypoint("Tell")
    async def tell(job: Job) -> None:
        at_ns = time.monotonic_ns()
        work.tell(json.loads(job.payload or b"null"), at_ns)

    yield pgq
