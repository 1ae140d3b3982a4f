"""The imports every test uses; they load into a table without a key, where doubles show."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection, transaction
from psycopg2.extras import execute_values

from jobs.base import BaseJob
from jobs.errors import Snooze
from jobs.etl import EtlJob, Reject, numbered
from jobs.models import JobStatus
from jobs.retry import Backoff

AT_ONCE = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))
TABLE = "CREATE TABLE public.loaded (job uuid, number int)"


@contextmanager
def table() -> Iterator[None]:
    """Within, there is the table; it is dropped again, for tests that commit."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE loaded")


def loaded(job: JobStatus) -> list[int]:
    """Return the numbers that stand in the table by a job, ascending, doubles too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM loaded WHERE job = %s ORDER BY number", [job.id])
        return [number for (number,) in cursor.fetchall()]


def expected(rows: int) -> list[int]:
    """Return what LoadNumbers loads of so many rows."""
    return [number for number in range(1, rows + 1) if number % 100 and number % 70]


def write(job_id: Any, numbers: list[int]) -> None:
    """Write numbers of a job."""
    with connection.cursor() as cursor:
        execute_values(
            cursor.cursor, "INSERT INTO loaded VALUES %s", [(job_id, number) for number in numbers]
        )


class LoadNumbers(EtlJob):
    """Load the numbers from 1, every hundredth rejected, every seventieth left out."""

    max_attempts = 20
    backoff = AT_ONCE
    batch_size = 10

    rows: int
    pause: float = 0.0
    fails_at: int = 0

    def extract(self, after: int | None) -> Iterator[tuple[int, int]]:
        for number, position in numbered(range(1, self.rows + 1), after):
            if number == self.fails_at and self.attempt == 1:
                raise ConnectionError("the source is gone")
            yield number, position

    def transform(self, row: int) -> int | None:
        if row % 100 == 0:
            raise Reject(f"{row} is a hundred")
        return None if row % 70 == 0 else row

    def load(self, rows: list[int]) -> None:
        write(self.job_id, rows)
        time.sleep(self.pause)


class LoadLate(EtlJob):
    """Load ten numbers, the first attempt's in a batch that waits for a lock that others hold."""

    max_attempts = 10
    backoff = AT_ONCE
    batch_size = 5

    lock: int

    def extract(self, after: int | None) -> Iterator[tuple[int, int]]:
        return numbered(range(1, 11), after)

    def load(self, rows: list[int]) -> None:
        write(self.job_id, rows)
        if self.attempt == 1 and rows[0] > 5:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [self.lock])


class LoadAndDie(EtlJob):
    """Load a batch in each attempt, then kill the runner; or kill it at one number each time."""

    max_attempts = 100
    backoff = AT_ONCE
    batch_size = 5

    rows: int
    dies_at: int = 0

    def extract(self, after: int | None) -> Iterator[tuple[int, int]]:
        dies_at = self.dies_at or (after or 0) + self.batch_size + 1
        for number, position in numbered(range(1, self.rows + 1), after):
            if number == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield number, position

    def load(self, rows: list[int]) -> None:
        write(self.job_id, rows)


class CountUp(BaseJob):
    """Write the numbers from 1 with a checkpoint of its own after each."""

    max_attempts = 10
    backoff = AT_ONCE

    rows: int
    fails_at: int = 0

    def _perform(self) -> Any:
        begun_at = self.last_checkpoint or 0
        for number in itertools.takewhile(lambda n: n <= self.rows, itertools.count(begun_at + 1)):
            if number == self.fails_at and self.attempt == 1:
                raise ConnectionError("the source is gone")
            with transaction.atomic():
                write(self.job_id, [number])
                self.checkpoint(number)
        return {"begun_at": begun_at}


class CountAsync(BaseJob):
    """Record a checkpoint from an async job, and fail once."""

    max_attempts = 10
    backoff = AT_ONCE

    async def _perform(self) -> Any:
        begun_at = await sync_to_async(lambda: self.last_checkpoint)() or 0
        await sync_to_async(self.checkpoint)(begun_at + 1)
        if self.attempt == 1:
            raise ConnectionError("the source is gone")
        return {"begun_at": begun_at}


class LoadPatiently(EtlJob):
    """Load ten numbers from a source that wants a pause after the first five."""

    batch_size = 5

    def extract(self, after: int | None) -> Iterator[tuple[int, int]]:
        yield from numbered(range(1, 6), after)
        if after is None:
            raise Snooze(timedelta(milliseconds=1))
        yield from numbered(range(1, 11), 5)

    def load(self, rows: list[int]) -> None:
        write(self.job_id, rows)
