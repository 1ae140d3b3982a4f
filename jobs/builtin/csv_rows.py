"""Records to what COPY takes, in batches; rows that don't fit are rejected, not loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from jobs.builtin import csv_types
from jobs.builtin.csv_columns import Mapped
from jobs.builtin.csv_lines import Records
from jobs.builtin.csv_types import BadValue
from jobs.builtin.errors import TooManyRejected

MAX_KEPT = 100
_SHOWN_IN_ERROR = 3
_BATCH_CHARACTERS = 256 * 1024
_NULL = "\\N"
# What an empty field of a column that needs a value becomes. No column takes a NUL, so that one
# look at the finished row finds these and the NULs of the file.
_MISSING = "\0"


class RejectedRow(TypedDict):
    """A row that was not loaded: the line it begins in, counted from 1, and why."""

    line: int
    reason: str


class Rejected:
    """The rejected rows: all counted, the first hundred kept.

    Args:
        limit: How many may be rejected; None: any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.count = 0
        self._limit = limit
        self._kept: list[RejectedRow] = []

    @property
    def first(self) -> list[RejectedRow]:
        """The first hundred, in the file's order."""
        return sorted(self._kept, key=lambda row: row["line"])[:MAX_KEPT]

    def add(self, rows: Iterable[RejectedRow], *, count: int) -> None:
        """Count `count` more, of which `rows` are the first.

        Raises:
            TooManyRejected: The limit is passed.
        """
        self.count += count
        if len(self._kept) < 2 * MAX_KEPT:
            self._kept.extend(rows)
        if self._limit is not None and self.count > self._limit:
            shown = "; ".join(
                f"line {row['line']}: {row['reason']}" for row in self.first[:_SHOWN_IN_ERROR]
            )
            raise TooManyRejected(
                f"More than {self._limit:,} rows were rejected, nothing was loaded. First: {shown}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some thousand rows for COPY, and how many records were read until its end."""

    rows_in: int
    content: bytes


def batches(
    records: Records, mapped: Sequence[Mapped], *, width: int, rejected: Rejected
) -> Iterator[Batch]:
    """Yield the records as COPY's text format: the line number, then each column of `mapped`.

    Args:
        records: The file after its headers.
        mapped: Which field fills which column.
        width: How many fields a record must have.
        rejected: Where the rows go that don't fit.
    """
    # A row costs one pass over this list: nothing about a column is decided twice.
    plan = [(each.field, each.convert or csv_types.text, _blank(each)) for each in mapped]
    rows: list[str] = []
    rows_in = size = 0
    for fields, fault in records:
        rows_in += 1
        if fault or len(fields) != width:
            reason = fault or f"has {len(fields)} fields, not {width}"
            rejected.add([RejectedRow(line=records.line, reason=reason)], count=1)
            continue
        try:
            row = "\t".join(
                [convert(text) if (text := fields[at]) else blank for at, convert, blank in plan]
            )
        except BadValue:
            row = _MISSING
        if _MISSING in row:
            reason = _reason(fields, mapped)
            rejected.add([RejectedRow(line=records.line, reason=reason)], count=1)
            continue
        rows.append(f"{records.line}\t{row}\n")
        size += len(row)
        if size >= _BATCH_CHARACTERS:
            yield Batch(rows_in=rows_in, content="".join(rows).encode())
            rows, size = [], 0
    yield Batch(rows_in=rows_in, content="".join(rows).encode())


def _blank(mapped: Mapped) -> str:
    if mapped.is_key:
        return _MISSING
    if not mapped.column.not_null:
        return _NULL
    return "" if mapped.column.is_text else _MISSING


def _reason(fields: Sequence[str], mapped: Sequence[Mapped]) -> str:
    """Look at a row again that is known to be bad: the loop keeps no track of where it was."""
    for each in mapped:
        text = fields[each.field]
        if not text and _blank(each) == _MISSING:
            return f"{each.column.name} is empty, and the column needs a value"
        if _MISSING in text:
            return f"{each.column.name} holds a NUL character"
        try:
            _ = text and (each.convert or csv_types.text)(text)
        except BadValue as error:
            return f"{each.column.name} {csv_types.shown(text)} {error}"
    return "is not valid"
