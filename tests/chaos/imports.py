"""Imports of numbered rows, some of which kill their runner in the middle of a batch."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from django.db import connection
from psycopg2.extras import execute_values

from jobs.etl import EtlJob, Reject, numbered
from tests.chaos import loads
from tests.chaos.traced import Traced

TABLE = "CREATE TABLE chaos_loads (job_id uuid NOT NULL, number int NOT NULL);"


class Import(Traced, EtlJob):
    """Load numbers in batches of ten; some are rejected, some left out."""

    batch_size = 10

    numbers: int
    pause: float = 0.0  # seconds, in the transaction of each batch

    def _work(self) -> Any:
        return EtlJob._perform(self)

    def extract(self, after: int | None) -> Iterator[tuple[int, int]]:
        return numbered(range(1, self.numbers + 1), after)

    def transform(self, row: int) -> int | None:
        if loads.is_rejected(row):
            raise Reject(f"{row} is not wanted")
        return None if loads.is_left_out(row) else row

    def load(self, rows: list[int]) -> None:
        with connection.cursor() as cursor:
            values = [(self.job_id, number) for number in rows]
            execute_values(cursor.cursor, "INSERT INTO chaos_loads VALUES %s", values)
        time.sleep(self.pause)


class DeadlyImport(Import):
    """Kill the runner of the first attempt, with a batch written and not committed."""

    def load(self, rows: list[int]) -> None:
        super().load(rows)
        if self.attempt == 1 and rows[0] > self.numbers / 2:
            os.kill(os.getpid(), signal.SIGKILL)
