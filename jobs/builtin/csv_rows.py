"""Records to what COPY takes; those that don't fit are rejected, not loaded."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.builtin import csv_types
from jobs.builtin.csv_columns import Mapped
from jobs.builtin.csv_types import BadValue
from jobs.etl import Reject

_NULL = "\\N"
# What an empty field of a column that needs a value becomes. No column takes a NUL, so that one
# look at the finished row finds these and the NULs of the file.
_MISSING = "\0"

Record = tuple[list[str], str, int]  # its fields, what makes it worthless or "", its line


class CopyRows:
    """Makes COPY's text format of records: the line number, then each column of `mapped`.

    Args:
        headers: The file's; a record must have as many fields.
        mapped: Which field fills which column.
    """

    def __init__(self, headers: Sequence[str], mapped: Sequence[Mapped]) -> None:
        self._headers = headers
        self._width = len(headers)
        self._mapped = mapped
        # A row costs one pass over this list: nothing about a column is decided twice.
        self._plan = [(each.field, each.convert or csv_types.text, _blank(each)) for each in mapped]

    def row(self, record: Record) -> str:
        """Return a record's row.

        Raises:
            Reject: It doesn't fit.
        """
        fields, fault, line = record
        if fault:
            raise Reject(fault, row=None)
        if len(fields) != self._width:
            raise Reject(f"has {len(fields)} fields, not {self._width}", row=fields)
        try:
            row = "\t".join(
                [
                    convert(text) if (text := fields[at]) else blank
                    for at, convert, blank in self._plan
                ]
            )
        except BadValue:
            row = _MISSING
        if _MISSING in row:
            kept = dict(zip(self._headers, fields, strict=True))
            raise Reject(_reason(fields, self._mapped), row=kept)
        return f"{line}\t{row}\n"


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
