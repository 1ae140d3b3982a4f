"""What the built-in jobs raise; an `ImportRefused` stays true however often it is tried."""

from __future__ import annotations

from jobs.errors import AttemptError


class TableRefused(AttemptError):
    """The settings don't open this table to the job. It is not retried."""

    def __init__(self, table: str, *, setting: str, verb: str) -> None:
        super().__init__(
            f'Table {table} may not be {verb}: it is not in JOBS["{setting}"]. '
            "Add it there if the job is meant to touch it.",
            table=table,
        )
        self.table = table


class ImportRefused(AttemptError):
    """The import can't succeed as it was asked for. It is not retried."""


class SourceRefused(ImportRefused):
    """The settings don't open this file or address to imports, or it can't be read at all."""


class MappingRefused(ImportRefused):
    """The file's headers and the table's columns don't fit."""


class FileRefused(ImportRefused):
    """The file's shape is wrong as a whole: no header, no row, a record without an end."""


class SourceUnavailable(AttemptError):
    """The source did not answer, or broke off; worth another attempt."""
