"""A pipeline as people write it: two imports side by side, and a summary of both."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from urllib.request import urlopen

from django.db import connection, transaction

from jobs.base import BaseJob
from jobs.etl import EtlJob, Reject, numbered
from jobs.retry import Backoff

TABLES = """
    CREATE TABLE flights (
        year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int,
        arr_time int, sched_arr_time int, arr_delay int, carrier text, flight int, tailnum text,
        origin text, dest text, air_time int, distance int, hour int, minute int,
        time_hour timestamptz
    );
    CREATE TABLE airports (
        faa text, name text, lat float8, lon float8, alt int, tz float8, dst text, tzone text
    );
    CREATE TABLE departures (
        faa text, name text, month int, flights int, PRIMARY KEY (faa, month)
    )
"""
NO_TABLES = "DROP TABLE flights, airports, departures"
_NOTHING = "NA"  # as R writes it
_TEXTS = {"carrier", "tailnum", "origin", "dest", "time_hour"}

SoonAgain = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))


@contextmanager
def fetched(source: str) -> Iterator[Iterator[dict[str, str]]]:
    """Open a gzipped CSV file behind an address, as a stream of rows."""
    with (
        urlopen(source, timeout=30) as answer,  # noqa: S310 - the tests' own server
        gzip.open(answer, "rt", encoding="utf-8", newline="") as lines,
    ):
        yield csv.DictReader(lines)


def copy(table: str, rows: list[list[str]]) -> None:
    """Append rows to a table."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv, NULL '{_NOTHING}')", buffer)


class LoadFlights(EtlJob):
    """Load the flights of a year, or of one of its days."""

    timeout = timedelta(minutes=10)
    max_attempts = 10
    backoff = SoonAgain
    batch_size = 5_000
    max_rejected = 0.001

    source: str
    day: date | None = None

    def extract(self, after: int | None) -> Iterator[tuple[dict[str, str], int]]:
        with fetched(self.source) as rows:
            yield from numbered(rows, after)

    def transform(self, row: dict[str, str]) -> list[str] | None:
        if self.day and self.day != date(int(row["year"]), int(row["month"]), int(row["day"])):
            return None
        for name, field in row.items():
            if name not in _TEXTS and field != _NOTHING and not field.lstrip("-").isdigit():
                raise Reject(f"{name} {field!r} is not a whole number")
        return list(row.values())

    def load(self, rows: list[list[str]]) -> None:
        copy("flights", rows)


class LoadAirports(EtlJob):
    """Load all airports, in the place of those that stand there."""

    max_attempts = 10
    backoff = SoonAgain
    max_rejected = 0

    source: str

    def extract(self, after: int | None) -> Iterator[tuple[dict[str, str], int]]:
        with fetched(self.source) as rows:
            yield from numbered(rows, after)

    def transform(self, row: dict[str, str]) -> list[str]:
        return list(row.values())

    def load(self, rows: list[list[str]]) -> None:
        copy("airports", rows)


class SummariseDepartures(BaseJob):
    """Count the departures of each airport and month."""

    atomic = True

    def _perform(self) -> dict[str, Any]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM departures")
            cursor.execute(
                """
                INSERT INTO departures
                SELECT a.faa, a.name, f.month, count(*)
                FROM flights f JOIN airports a ON a.faa = f.origin GROUP BY 1, 2, 3
                """
            )
            return {"lines": cursor.rowcount}
