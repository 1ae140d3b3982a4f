"""The demo's tables and its file, made in SQL: no migration knows them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from jobs import conf

_TABLES = """
    CREATE TABLE IF NOT EXISTS public.airports (
        icao text PRIMARY KEY,
        iata text,
        name text NOT NULL,
        city text,
        subd text,
        country text,
        elevation numeric,
        lat double precision,
        lon double precision,
        tz text,
        lid text
    );
    CREATE TABLE IF NOT EXISTS public.daily_stats (
        day date,
        name text,
        value bigint,
        PRIMARY KEY (day, name)
    )
"""
_ROWS = """
    INSERT INTO public.daily_stats (day, name, value)
    SELECT current_date - ago, name, 100 * ago + length(name)
    FROM generate_series(1, 7) AS ago, unnest(ARRAY['visits', 'orders', 'returns']) AS name
    WHERE NOT EXISTS (SELECT FROM public.daily_stats)
"""
_FILE = "airports.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo has now.

    Attributes:
        tables: The tables, as "schema.table".
        file: The airports' CSV in the first import folder; None: it isn't there.
        message: What a person should know, in a line.
    """

    tables: tuple[str, ...]
    file: Path | None
    message: str


def prepare() -> Demo:
    """Make the demo's tables, fill `daily_stats` where it is empty, and lay out the airports' file.

    May be called again at any time. Opens its own transaction.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLES)
        cursor.execute(_ROWS)
    file, message = _lay_out()
    return Demo(tables=("public.airports", "public.daily_stats"), file=file, message=message)


def _lay_out() -> tuple[Path | None, str]:
    folders = conf.current().import_folders
    if not folders:
        return None, 'JOBS["IMPORT_FOLDERS"] is empty: there is no folder for airports.csv.'
    package = importlib.util.find_spec("airportsdata")
    if package is None or package.origin is None:
        return None, (
            "The package airportsdata is not installed, so there is no airports.csv to import: "
            "pip install -r requirements-demo.txt"
        )
    folder = Path(folders[0])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _FILE
    # Never half a file under its name: a worker may be reading the one before.
    unfinished = folder / f".{_FILE}.{os.getpid()}"
    shutil.copyfile(Path(package.origin).with_name(_FILE), unfinished)
    unfinished.replace(file)
    return file, f"{file} is ready to be imported into public.airports."
