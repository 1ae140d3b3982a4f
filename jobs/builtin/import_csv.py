"""Load a CSV file into a table: extract, transform, load, in a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import field
from datetime import timedelta
from typing import Annotated, Any, Literal

from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError, transaction
from pydantic import AfterValidator, Field

from jobs import conf
from jobs.base import BaseJob
from jobs.builtin import csv_columns, csv_lines, csv_load, csv_rows, csv_source
from jobs.builtin.csv_columns import Mapped, Table
from jobs.builtin.csv_lines import Records
from jobs.builtin.csv_load import Loaded, Staging
from jobs.builtin.csv_rows import Rejected
from jobs.builtin.errors import FileRefused, ImportRefused, TableRefused
from jobs.builtin.truncate_table import is_open


def _qualified(table: str) -> str:
    schema, _, name = table.partition(".")
    if not (schema and name):
        raise ValueError("write schema.table, as public.airports")
    return table


class ImportCsv(BaseJob):
    """Load a CSV file, or an http(s) address, into a table named in JOBS["IMPORT_TABLES"].

    The result tells rows in, out and rejected, and why the first hundred rejected ones were.
    """

    timeout = timedelta(hours=2)
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
    max_rejected: Annotated[
        Annotated[int, Field(ge=0)] | None,
        Field(description="More bad rows than this fail the job; null: any number."),
    ] = 1_000

    def __post_init__(self) -> None:
        """Refuse, at dispatch already, what can't go together."""
        if self.key and self.mode != "upsert":
            raise ValueError('key is only for mode "upsert"')
        if self.delimiter in '"\r\n\0':
            raise ValueError("delimiter can't be a quote, the end of a line or NUL")
        if not csv_lines.is_line_wise(self.encoding):
            raise ValueError("encoding must be one that extends ASCII, as utf-8 or latin-1 do")

    def _perform(self) -> dict[str, Any]:
        began = time.monotonic()
        settings = conf.current()
        schema, _, name = self.table.partition(".")
        if not is_open(schema, name, settings.import_tables):
            raise TableRefused(self.table, setting="IMPORT_TABLES", verb="imported into")
        table = csv_columns.read_table(schema, name)
        key = csv_columns.key_of(table, self.key) if self.mode == "upsert" else ()
        if self.mode == "replace":
            csv_load.refuse_cascade(table)

        rejected = Rejected(self.max_rejected)
        # Behind a transaction pooler a temporary table lives no longer than its transaction.
        whole = transaction.atomic() if settings.behind_pooler else nullcontext()
        with whole, self._staged(table, key, rejected) as (staging, rows_in):
            self.progress(rows_in, rows_in, f"loading into {table}")
            loaded = self._load(staging)
        return {
            "table": self.table,
            "mode": self.mode,
            "rows_in": rows_in,
            "rows_out": loaded.rows_out,
            "rows_rejected": rejected.count,
            "rows_duplicate": loaded.rows_duplicate,
            "rows_unchanged": loaded.rows_unchanged,
            "rejected": rejected.first,
            "seconds": round(time.monotonic() - began, 3),
        }

    @contextmanager
    def _staged(
        self, table: Table, key: tuple[str, ...], rejected: Rejected
    ) -> Iterator[tuple[Staging, int]]:
        """Extract and transform; hand out the full staging table and how many rows were read."""
        settings = conf.current()
        source = csv_source.pieces(
            self.source,
            folders=settings.import_folders,
            hosts=settings.import_hosts,
            limit_bytes=settings.max_import_bytes,
        )
        rows_in = 0
        with ExitStack() as until_loaded:
            with source as pieces:
                records = Records(pieces, encoding=self.encoding, delimiter=self.delimiter)
                mapped, width = self._mapped(records, table, key)
                staging = Staging(table, mapped)
                until_loaded.enter_context(staging.standing())
                for batch in csv_rows.batches(records, mapped, width=width, rejected=rejected):
                    staging.copy(batch.content)
                    rows_in = batch.rows_in
                    self.progress(rows_in, None, "reading")
            for count, rows in staging.take_faulty():
                rejected.add(rows, count=count)
            yield staging, rows_in

    def _mapped(
        self, records: Records, table: Table, key: tuple[str, ...]
    ) -> tuple[list[Mapped], int]:
        headers, fault = next(iter(records), ([], "it is empty"))
        if fault:
            raise FileRefused(f"The source has no header line: {fault}.")
        mapped = csv_columns.map_headers(table, headers, columns=self.columns, key=key)
        return mapped, len(headers)

    def _load(self, staging: Staging) -> Loaded:
        match self.mode:
            case "append":
                return staging.append()
            case "replace":
                return staging.replace()
            case "upsert":
                return staging.upsert()
