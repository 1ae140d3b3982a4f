"""COPY into a staging table, then one transaction into the target."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg2 import sql
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from jobs.builtin.csv_columns import Mapped, Table
from jobs.builtin.csv_types import MAX_SHOWN, shown
from jobs.builtin.errors import FileRefused, MappingRefused
from jobs.lifecycle.rejected import MAX_KEPT, RejectedRow

_STAGING = Identifier("pg_temp", "import_staging")
_LINE, _NOTHING = Identifier("line"), SQL("")
# A block within a block: the outer one catches what the inner one's variable refuses.
_FAULT = """
    BEGIN
        DECLARE held {} := value; BEGIN END;
        RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
        RETURN SQLERRM;
    END
"""
_CASCADES = """
    SELECT conrelid::pg_catalog.regclass::text FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd')
        AND confrelid = pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %s::text, %s::text))
    LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of the staged rows: now in the target, dropped as twins, found as they were."""

    rows_out: int
    rows_duplicate: int = 0
    rows_unchanged: int = 0


def refuse_cascade(table: Table) -> None:
    """Refuse to replace a table whose rows other tables' rows would follow into deletion.

    Raises:
        MappingRefused: A foreign key to it has ON DELETE CASCADE, SET NULL or SET DEFAULT.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CASCADES, [table.schema, table.name])
        found = cursor.fetchone()
    if found is not None:
        raise MappingRefused(
            f"Rows of {found[0]} would be changed with the rows of {table} that a replace deletes. "
            'Import with mode "upsert" instead.'
        )


class Staging:
    """The staging table: a temporary one, seen by this connection alone and written to no WAL."""

    def __init__(self, table: Table, mapped: Sequence[Mapped]) -> None:
        self._table = table
        self._mapped = mapped
        self._names = [Identifier(f"c{place}") for place in range(len(mapped))]
        self._targets = _joined(Identifier(each.column.name) for each in mapped)
        self._target = Identifier(table.schema, table.name)
        # What is staged as text becomes its type on the way out.
        self._values = [
            name if each.convert else SQL("{}::{}").format(name, SQL(each.column.type.sql))
            for name, each in zip(self._names, mapped, strict=True)
        ]

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Make the table, and drop it at the end. A lost connection has dropped it already."""
        drop = SQL("DROP TABLE IF EXISTS {}").format(_STAGING)
        _run(drop)
        # From the target's own columns, for their lengths, precisions and collations.
        columns = [
            SQL("{}{} AS {}").format(
                Identifier(each.column.name), SQL("" if each.convert else "::text"), name
            )
            for name, each in zip(self._names, self._mapped, strict=True)
        ]
        _run(
            SQL(
                "CREATE TEMPORARY TABLE import_staging AS SELECT 0::bigint AS line, {} FROM {}"
            ).format(_joined(columns), self._target)
            + SQL(" WITH NO DATA")
        )
        try:
            yield
        finally:
            with contextlib.suppress(DatabaseError, InterfaceError):
                _run(drop)

    def copy(self, content: bytes) -> None:
        """Append rows in COPY's text format."""
        statement = SQL("COPY {} FROM STDIN (FORMAT text, ENCODING 'UTF8')").format(_STAGING)
        with connection.cursor() as cursor, connection.wrap_database_errors:
            # Whole batches, so that an error of the source never passes through psycopg2's C code,
            # which would make it QueryCanceled; and no snapshot is held while the source is slow.
            cursor.copy_expert(statement.as_string(cursor.cursor), io.BytesIO(content))

    def take_faulty(self) -> Iterator[tuple[int, list[RejectedRow]]]:
        """Take out the rows whose value PostgreSQL itself refuses, for the types unknown to us.

        Yields:
            For each such column how many there were, and the first of them.
        """
        for name, each in zip(self._names, self._mapped, strict=True):
            if each.convert is None:
                yield self._take_faulty_of(name, each)

    def _take_faulty_of(self, name: Identifier, mapped: Mapped) -> tuple[int, list[RejectedRow]]:
        body = _FAULT.format(mapped.column.type.sql)
        fault = SQL("pg_temp.import_fault({})").format(name)
        _run(
            SQL(
                "CREATE OR REPLACE FUNCTION pg_temp.import_fault(value text) RETURNS text "
                "LANGUAGE plpgsql AS {}"
            ).format(Literal(body))
        )
        rows = _fetch(
            SQL(
                "WITH gone AS (DELETE FROM {staging} "
                "WHERE {name} IS NOT NULL AND {fault} IS NOT NULL "
                "RETURNING line, left({name}, {length}), {fault}) "
                "SELECT count(*) OVER (), * FROM gone ORDER BY line LIMIT {kept}"
            ).format(
                staging=_STAGING,
                name=name,
                fault=fault,
                length=Literal(MAX_SHOWN + 1),
                kept=Literal(MAX_KEPT),
            )
        )
        kept = [
            RejectedRow(
                position=line, row=None, reason=f"{mapped.column.name} {shown(value)}: {why[:300]}"
            )
            for _, line, value, why in rows
        ]
        return (rows[0][0] if rows else 0), kept

    def append(self) -> Loaded:
        """Insert the rows. Opens its own transaction; any violated constraint undoes it all."""
        with transaction.atomic():
            return Loaded(rows_out=self._insert())

    def replace(self) -> Loaded:
        """Put the rows in the place of all that stand there. Opens its own transaction.

        Readers see the old rows until it commits: DELETE, since TRUNCATE would keep them waiting.

        Raises:
            FileRefused: There is no row; an empty file must not empty a table.
        """
        with transaction.atomic():
            # Two replaces at once would each delete only what the other hadn't written yet.
            _run(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(self._target))
            _run(SQL("DELETE FROM {}").format(self._target))
            rows_out = self._insert()
            if not rows_out:
                raise FileRefused(
                    f"The source has no row to load; {self._table} is left as it is. "
                    "To empty a table use TruncateTable."
                )
        return Loaded(rows_out=rows_out)

    def upsert(self) -> Loaded:
        """Insert new rows and update those of the same key. Opens its own transaction.

        Of several rows with one key the last counts; a row that stands there already isn't touched.
        """
        key = _joined(
            value for value, each in zip(self._values, self._mapped, strict=True) if each.is_key
        )
        with transaction.atomic():
            duplicates = _run(
                SQL(
                    "DELETE FROM {staging} USING (SELECT ctid AS place, row_number() OVER "
                    "(PARTITION BY {key} ORDER BY line DESC) AS age FROM {staging}) AS twins "
                    "WHERE {staging}.ctid = twins.place AND twins.age > 1"
                ).format(staging=_STAGING, key=key)
            )
            [(rows_out,)] = _fetch(SQL("SELECT count(*) FROM {}").format(_STAGING))
            # In the key's order: two upserts at once meet the same rows in the same order.
            written = self._insert(order=key, conflict=self._on_conflict())
        return Loaded(
            rows_out=rows_out, rows_duplicate=duplicates, rows_unchanged=rows_out - written
        )

    def _insert(self, *, order: Composable = _LINE, conflict: Composable = _NOTHING) -> int:
        return _run(
            SQL("INSERT INTO {} AS target ({}) SELECT {} FROM {} ORDER BY {} {}").format(
                self._target, self._targets, _joined(self._values), _STAGING, order, conflict
            )
        )

    def _on_conflict(self) -> Composed:
        key = _joined(Identifier(each.column.name) for each in self._mapped if each.is_key)
        others = [each for each in self._mapped if not each.is_key]
        if not others:
            return SQL("ON CONFLICT ({}) DO NOTHING").format(key)
        return SQL("ON CONFLICT ({}) DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})").format(
            key,
            _joined(
                SQL("{0} = excluded.{0}").format(Identifier(each.column.name)) for each in others
            ),
            _joined(_comparable("target", each) for each in others),
            _joined(_comparable("excluded", each) for each in others),
        )


def _comparable(row: str, mapped: Mapped) -> Composed:
    # json, and types unknown here, may have no equality of their own.
    cast = "::text" if mapped.convert is None or mapped.column.type.name == "json" else ""
    return SQL("{}{}").format(Identifier(row, mapped.column.name), SQL(cast))


def _joined(parts: Iterator[Any] | Sequence[Any]) -> Composed:
    return SQL(", ").join(list(parts))


def _run(statement: sql.Composable) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement.as_string(cursor.cursor))
        moved: int = cursor.rowcount
        return moved


def _fetch(statement: sql.Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.as_string(cursor.cursor))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
