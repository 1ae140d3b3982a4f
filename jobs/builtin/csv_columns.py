"""The target table's columns, and which header of the file fills which of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from jobs.builtin import csv_types
from jobs.builtin.csv_types import ColumnType, Converter
from jobs.builtin.errors import ImportRefused, MappingRefused

_TEXTS = frozenset({"text", "varchar", "bpchar"})
_TABLE = """
    SELECT c.oid
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
"""
_COLUMNS = """
    SELECT a.attname,
           CASE WHEN n.nspname = 'pg_catalog' AND t.typtype = 'b' THEN t.typname ELSE '' END,
           a.atttypmod,
           pg_catalog.format_type(a.atttypid, a.atttypmod),
           a.attnotnull,
           a.atthasdef OR a.attidentity <> '',
           a.attgenerated = '' AND a.attidentity <> 'a'
    FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
# Only such an index can be the arbiter of INSERT ... ON CONFLICT.
_KEYS = """
    SELECT i.indisprimary,
           (SELECT array_agg(a.attname::text)
            FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(attnum)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the target table."""

    name: str
    type: ColumnType
    not_null: bool
    has_default: bool
    is_writable: bool  # False: generated, or an identity that is always the database's

    @property
    def is_text(self) -> bool:
        """Whether an empty field can be an empty text here."""
        return self.type.name in _TEXTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The target table as the catalog knows it."""

    schema: str
    name: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique_keys: frozenset[frozenset[str]]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A column and the field that fills it.

    Attributes:
        column: The target.
        field: Its place in a record, counted from 0.
        convert: What makes COPY's text of a field; None: PostgreSQL checks it after staging.
        is_key: Part of the key of an upsert.
    """

    column: Column
    field: int
    convert: Converter | None
    is_key: bool


def read_table(schema: str, name: str) -> Table:
    """Return the table from the catalog.

    Raises:
        ImportRefused: There is no such table (a view is none).
    """
    with connection.cursor() as cursor:
        cursor.execute(_TABLE, [schema, name])
        found = cursor.fetchone()
        if found is None:
            raise ImportRefused(f"There is no table {schema}.{name}.")
        cursor.execute(_COLUMNS, found)
        columns = [
            Column(
                name=row[0],
                type=ColumnType(name=row[1], modifier=row[2], sql=row[3]),
                not_null=row[4],
                has_default=row[5],
                is_writable=row[6],
            )
            for row in cursor.fetchall()
        ]
        cursor.execute(_KEYS, found)
        keys = cursor.fetchall()
    return Table(
        schema=schema,
        name=name,
        columns={column.name: column for column in columns},
        primary_key=next((tuple(names) for is_primary, names in keys if is_primary), ()),
        unique_keys=frozenset(frozenset(names) for _, names in keys),
    )


def key_of(table: Table, asked: Sequence[str]) -> tuple[str, ...]:
    """Return the columns an upsert matches by: those asked for, or the primary key.

    Raises:
        MappingRefused: No unique index stands on exactly these columns.
    """
    key = tuple(asked) or table.primary_key
    if not key:
        raise MappingRefused(f"{table} has no primary key: name the columns to match by in `key`.")
    if frozenset(key) not in table.unique_keys or len(set(key)) != len(key):
        known = "; ".join(sorted(", ".join(sorted(names)) for names in table.unique_keys))
        raise MappingRefused(
            f"{table} has no unique index on exactly ({', '.join(key)}), which an upsert needs. "
            f"It has: {known or 'none'}."
        )
    return key


def map_headers(
    table: Table,
    headers: Sequence[str],
    *,
    columns: Mapping[str, str],
    key: Collection[str],
) -> list[Mapped]:
    """Return which field fills which column.

    Args:
        table: The target.
        headers: The file's first record.
        columns: Target column -> header; what isn't named is left out. Empty: every header fills
            the column of its name, and one without a column is a fault.
        key: The columns an upsert matches by; empty in other modes.

    Raises:
        MappingRefused: With every fault found.
    """
    places = {_plain(header): place for place, header in enumerate(headers)}
    wanted = {column: _plain(header) for column, header in columns.items()} or _by_name(
        table, places
    )
    faults = [
        *_header_faults(headers, wanted, places),
        *_column_faults(table, wanted),
        *(f"key column {name} is not filled" for name in key if name not in wanted),
    ]
    if faults:
        raise MappingRefused(
            f"The file doesn't fit {table}: {'; '.join(faults)}. Its headers are: "
            f"{', '.join(headers)[:500]}. Map them in `columns` (target column -> header)."
        )
    return [
        Mapped(
            column=table.columns[name],
            field=places[header],
            convert=csv_types.converter(table.columns[name].type),
            is_key=name in key,
        )
        for name, header in wanted.items()
    ]


def _plain(header: str) -> str:
    return header.strip().casefold()


def _by_name(table: Table, places: Collection[str]) -> dict[str, str]:
    names = {_plain(name): name for name in table.columns}
    return {names.get(header, header): header for header in places}


def _header_faults(
    headers: Sequence[str], wanted: Mapping[str, str], places: Collection[str]
) -> list[str]:
    counts = Counter(map(_plain, headers))
    return [f"no header {header!r}" for header in wanted.values() if header not in places] + [
        f"header {header!r} stands there {counts[header]} times"
        for header in wanted.values()
        if counts[header] > 1
    ]


def _column_faults(table: Table, wanted: Collection[str]) -> list[str]:
    faults = []
    for name in wanted:
        if name not in table.columns:
            faults.append(f"no column {name!r} in the table")
        elif not table.columns[name].is_writable:
            faults.append(f"column {name!r} is the database's to fill")
    return faults + [
        f"column {column.name!r} needs a value and no header fills it"
        for column in table.columns.values()
        if column.not_null and not column.has_default and column.name not in wanted
    ]
