"""The rows of an import: how many it read, loaded and rejected, and the rejected ones as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

# A column for each key that a kept row has; of rows of all sorts no more than so many.
MAX_COLUMNS = 1_000
_PAGE = 500
# What a spreadsheet takes for a formula, in their wide forms too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a job has recorded.

    Attributes:
        rows_in: Read so far, in all attempts, until the last checkpoint.
        rows_out: Of these, loaded.
        rows_rejected: Of these, rejected.
        kept: Rejected rows that can be downloaded.
        position: Behind which the next attempt goes on; None: from the start.
    """

    rows_in: int
    rows_out: int
    rows_rejected: int
    kept: int
    position: Any

    def counts(self) -> dict[str, int]:
        """Return the numbers, as programs are told them."""
        return {
            "in": self.rows_in,
            "out": self.rows_out,
            "rejected": self.rows_rejected,
            "kept": self.kept,
        }


def rows_of(job_id: UUID) -> Rows | None:
    """Return what the job has recorded, or None: two looks by primary key in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.rows_in, c.rows_out, c.rows_rejected, c.position::text,
                (SELECT count(*) FROM job_rejected_rows r WHERE r.job_id = c.job_id)
            FROM job_checkpoints c WHERE c.job_id = %s
            """,
            [job_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    rows_in, rows_out, rows_rejected, position, kept = row
    return Rows(
        rows_in=rows_in,
        rows_out=rows_out,
        rows_rejected=rows_rejected,
        kept=kept,
        position=None if position is None else json.loads(position),
    )


def rejected_csv(job_id: UUID) -> Iterator[str]:
    """Yield the job's kept rejected rows as CSV, in pieces: position, reason, the row's columns.

    A text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    keys, width = _columns(job_id)
    yield _written([["position", "reason", *map(_cell, keys)]])
    after = 0
    while page := _page(job_id, after):
        after = page[-1][0]
        yield _written(
            [
                [_cell(position), _cell(reason), *_cells(row, keys, width)]
                for _, position, reason, row in page
            ]
        )


def _columns(job_id: UUID) -> tuple[list[str], int]:
    """Return the keys of the rows that are objects, in their order, and the others' width."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT k.key FROM job_rejected_rows r,
                LATERAL json_object_keys(r.row) WITH ORDINALITY AS k(key, place)
            WHERE r.job_id = %s AND json_typeof(r.row) = 'object'
            GROUP BY k.key ORDER BY min(k.place), min(r.number), k.key LIMIT %s
            """,
            [job_id, MAX_COLUMNS],
        )
        keys = [key for (key,) in cursor.fetchall()]
        cursor.execute(
            """
            SELECT max(CASE json_typeof(r.row)
                WHEN 'array' THEN json_array_length(r.row) WHEN 'object' THEN 0 ELSE 1 END)
            FROM job_rejected_rows r WHERE r.job_id = %s
            """,
            [job_id],
        )
        [width] = cursor.fetchone()
    width = min(width or 0, MAX_COLUMNS)
    # A row that is a list has fields in the order of the columns: it needs no more of its own.
    return keys + [f"field {place}" for place in range(len(keys) + 1, width + 1)], width


def _page(job_id: UUID, after: int) -> Sequence[tuple[int, Any, str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT number, position::text, reason, row::text FROM job_rejected_rows
            WHERE job_id = %s AND number > %s ORDER BY number LIMIT %s
            """,
            [job_id, after, _PAGE],
        )
        return [
            (number, _loaded(position), reason, _loaded(row))
            for number, position, reason, row in cursor.fetchall()
        ]


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _cells(row: Any, keys: Sequence[str], width: int) -> list[Any]:
    match row:
        case dict():
            return [_cell(row.get(key)) for key in keys]
        case list():
            return [_cell(field) for field in row[:width]]
        case _:
            return [_cell(row)]


def _cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case str():
            is_formula = value.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(value)
            return f"'{value}" if is_formula else value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _written(rows: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
