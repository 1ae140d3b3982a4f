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

from django.db import connection
from psycopg2.extras import execute_values

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
        faa text PRIMARY KEY, name text, lat float8, lon float8, alt int, tz float8, dst text,
        tzone text
    );
    CREATE TABLE departures (
        faa text, name text, day date, flights int, PRIMARY KEY (faa, day)
    )
"""
NO_TABLES = "DROP TABLE flights, airports, departures"
_NOTHING = "NA"  # as R writes it
_TEXTS = {"carrier", "tailnum", "origin", "dest", "time_hour"}

SOON_AGAIN = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))


@contextmanager
def fetched(source: str) -> Iterator[Iterator[dict[str, str]]]:
    """Open a gzipped CSV file behind an address, as a stream of rows."""
    with (
        urlopen(source, timeout=30) as answer,  # noqa: S310 - the tests' own server
        gzip.open(answer, "rt", encoding="utf-8", newline="") as lines,
    ):
        yield csv.DictReader(lines)


class LoadFlights(EtlJob):
    """Load the flights of a year, or of one of its days."""

    timeout = timedelta(minutes=10)
    max_attempts = 10
    backoff = SOON_AGAIN
    batch_size = 5_000
    max_rejected = 0.001

    source: str
    day: date | None = None

    def extract(self, after: int | None) -> Iterator[tuple[dict[str, str], int]]:
        if after is None and self.day:  # run again, the day is replaced
            with connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM flights WHERE (year, month, day) = (%s, %s, %s)",
                    [self.day.year, self.day.month, self.day.day],
                )
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
        buffer = io.StringIO()
        csv.writer(buffer).writerows(rows)
        buffer.seek(0)
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY flights FROM STDIN (FORMAT csv, NULL '{_NOTHING}')", buffer)


class LoadAirports(EtlJob):
    """Load all airports; those that stand there already are updated."""

    max_attempts = 10
    backoff = SOON_AGAIN
    max_rejected = 0

    source: str

    def extract(self, after: int | None) -> Iterator[tuple[dict[str, str], int]]:
        with fetched(self.source) as rows:
            yield from numbered(rows, after)

    def transform(self, row: dict[str, str]) -> list[str | None]:
        return [None if field == _NOTHING else field for field in row.values()]

    def load(self, rows: list[list[str | None]]) -> None:
        with connection.cursor() as cursor:
            execute_values(
                cursor.cursor,
                """
                INSERT INTO airports VALUES %s ON CONFLICT (faa) DO UPDATE SET
                    (name, lat, lon, alt, tz, dst, tzone) = (excluded.name, excluded.lat,
                    excluded.lon, excluded.alt, excluded.tz, excluded.dst, excluded.tzone)
                """,
                rows,
                template="(%s, %s, %s::float8, %s::float8, %s::int, %s::float8, %s, %s)",
            )


class SummariseDepartures(BaseJob):
    """Count the departures of each airport and day, or of one day."""

    atomic = True

    day: date | None = None

    def _perform(self) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM departures WHERE %(day)s::date IS NULL OR day = %(day)s",
                {"day": self.day},
            )
            cursor.execute(
                """
                INSERT INTO departures
                SELECT a.faa, a.name, d.day, count(*)
                FROM flights f JOIN airports a ON a.faa = f.origin,
                    LATERAL make_date(f.year, f.month, f.day) AS d(day)
                WHERE %(day)s::date IS NULL OR d.day = %(day)s
                GROUP BY 1, 2, 3
                """,
                {"day": self.day},
            )
            return {"lines": cursor.rowcount}
