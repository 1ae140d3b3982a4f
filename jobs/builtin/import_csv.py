"""Load a CSV file into a table: extract, transform, load, in a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import field
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError, transaction
from pydantic import AfterValidator, Field

from jobs import conf
from jobs.builtin import csv_columns, csv_lines, csv_load, csv_source
from jobs.builtin.csv_columns import Mapped, Table
from jobs.builtin.csv_lines import Records
from jobs.builtin.csv_load import Loaded, Staging
from jobs.builtin.csv_rows import CopyRows, Record
from jobs.builtin.errors import FileRefused, ImportRefused, TableRefused
from jobs.builtin.truncate_table import is_open
from jobs.etl import EtlJob
from jobs.lifecycle.checkpoint import Counts
from jobs.lifecycle.rejected import MAX_SHOWN


def _qualified(table: str) -> str:
    schema, _, name = table.partition(".")
    if not (schema and name):
        raise ValueError("write schema.table, as public.airports")
    return table


class ImportCsv(EtlJob):
    """Load a CSV file, or an http(s) address, into a table named in JOBS["IMPORT_TABLES"].

    The result tells rows in, out and rejected, and why the first hundred rejected ones were.
    """

    timeout = timedelta(hours=2)
    batch_size = 10_000
    batch_length = 256 * 1024
    # The staging table goes with its connection, so an attempt begins from the start. What it loads
    # is one transaction with its result.
    resumable = False
    # None of these becomes true by trying again.
    discard_on = (
        ImportRefused,
        TableRefused,
        DataError,
        IntegrityError,
        NotSupportedError,
        ProgrammingError,
    )

    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2_000,
            description="A path inside an import folder, or an http(s) address on an import host; "
            "gzipped or not.",
            examples=["airports.csv"],
        ),
    ]
    table: Annotated[
        str,
        AfterValidator(_qualified),
        Field(description="The target, schema.table.", examples=["public.airports"]),
    ]
    mode: Annotated[
        Literal["append", "replace", "upsert"],
        Field(description="What happens to the rows that stand there."),
    ] = "append"
    key: Annotated[
        list[str],
        Field(description="The columns an upsert matches by; left out: the primary key."),
    ] = field(default_factory=list)
    columns: Annotated[
        dict[str, str],
        Field(description="Target column to header; left out: each header fills its namesake."),
    ] = field(default_factory=dict)
    delimiter: Annotated[
        str, Field(min_length=1, max_length=1, description="Between two fields.")
    ] = ","
    encoding: Annotated[str, Field(description="Any that extends ASCII.")] = "utf-8"
    max_rejected: Annotated[  # type: ignore[misc] # here the option is a param
        Annotated[int, Field(ge=0)] | None,
        Field(description="More bad rows than this fail the job; null: any number."),
    ] = 1_000

    _import: ClassVar[_Import]
    _place: ClassVar[str] = "line"

    def __post_init__(self) -> None:
        """Refuse, at dispatch already, what can't go together."""
        if self.key and self.mode != "upsert":
            raise ValueError('key is only for mode "upsert"')
        if self.delimiter in '"\r\n\0':
            raise ValueError("delimiter can't be a quote, the end of a line or NUL")
        if not csv_lines.is_line_wise(self.encoding):
            raise ValueError("encoding must be one that extends ASCII, as utf-8 or latin-1 do")

    def _perform(self) -> dict[str, Any]:
        settings = conf.current()
        schema, _, name = self.table.partition(".")
        if not is_open(schema, name, settings.import_tables):
            raise TableRefused(self.table, setting="IMPORT_TABLES", verb="imported into")
        table = csv_columns.read_table(schema, name)
        key = csv_columns.key_of(table, self.key) if self.mode == "upsert" else ()
        if self.mode == "replace":
            csv_load.refuse_cascade(table)
        # Behind a transaction pooler a temporary table lives no longer than its transaction.
        whole = transaction.atomic() if settings.behind_pooler else nullcontext()
        with whole, ExitStack() as until_loaded:
            vars(self)["_import"] = _Import(table, key, until_loaded)
            return super()._perform()

    def extract(self, after: None) -> Iterator[tuple[Record, int]]:  # noqa: ARG002 - never resumed
        """Yield each record with its line, from the start; make the staging table first."""
        settings = conf.current()
        source = csv_source.pieces(
            self.source,
            folders=settings.import_folders,
            hosts=settings.import_hosts,
            limit_bytes=settings.max_import_bytes,
        )
        with source as pieces:
            records = Records(pieces, encoding=self.encoding, delimiter=self.delimiter)
            self._import.begin(*self._mapped(records))
            for fields, fault in records:
                line = records.line
                yield (fields, fault, line), line

    def _mapped(self, records: Records) -> tuple[list[str], list[Mapped]]:
        headers, fault = next(iter(records), ([], "it is empty"))
        if fault:
            raise FileRefused(f"The source has no header line: {fault}.")
        of = self._import
        mapped = csv_columns.map_headers(of.table, headers, columns=self.columns, key=of.key)
        return headers, mapped

    def transform(self, row: Record) -> str:
        """Return the record as COPY takes it."""
        return self._import.copy_rows.row(row)

    def load(self, rows: list[str]) -> int:
        """Stage the rows; in the target stands none of them yet."""
        self._import.staging.copy("".join(rows).encode())
        return 0

    def finish(self, counts: Counts) -> dict[str, Any]:
        """Load all that is staged into the target, in the transaction of the result."""
        of, run = self._import, self._run
        for count, rows in of.staging.take_faulty():
            run.rejected.add(rows, count=count)
        run.rejected.refuse_too_many(counts.rows_in, is_end=True)
        self.progress(counts.rows_in, counts.rows_in, f"loading into {of.table}")
        loaded = self._load(of.staging)
        run.rows_out = loaded.rows_out
        first = sorted(run.rejected.first, key=lambda row: row.position)[:MAX_SHOWN]
        return {
            "table": self.table,
            "mode": self.mode,
            "rows_out": loaded.rows_out,
            "rows_rejected": run.rejected.count,
            "rows_duplicate": loaded.rows_duplicate,
            "rows_unchanged": loaded.rows_unchanged,
            "rejected": [{"line": row.position, "reason": row.reason} for row in first],
            "seconds": round(time.monotonic() - of.began_at, 3),
        }

    def _load(self, staging: Staging) -> Loaded:
        match self.mode:
            case "append":
                return staging.append()
            case "replace":
                return staging.replace()
            case "upsert":
                return staging.upsert()


class _Import:
    """What one attempt has open."""

    staging: Staging
    copy_rows: CopyRows

    def __init__(self, table: Table, key: tuple[str, ...], until_loaded: ExitStack) -> None:
        self.began_at = time.monotonic()
        self.table = table
        self.key = key
        self._until_loaded = until_loaded

    def begin(self, headers: list[str], mapped: list[Mapped]) -> None:
        self.copy_rows = CopyRows(headers, mapped)
        self.staging = Staging(self.table, mapped)
        self._until_loaded.enter_context(self.staging.standing())
