"""Empty a table that the settings allow to be emptied."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from django.db import NotSupportedError, ProgrammingError, connection, transaction
from psycopg2 import sql
from pydantic import Field

from jobs import conf
from jobs.base import BaseJob
from jobs.builtin.errors import TableRefused

# TRUNCATE waits for the table's readers, and everybody waits behind it: better to try again.
_LOCK_TIMEOUT = "10s"


class TruncateTable(BaseJob):
    """Empty a table named in JOBS["TRUNCATABLE_TABLES"]."""

    timeout = timedelta(minutes=5)
    discard_on = (TableRefused, ProgrammingError, NotSupportedError)

    schema: Annotated[str, Field(examples=["public"])]
    table_name: Annotated[str, Field(examples=["daily_stats"])]

    def _perform(self) -> str:
        name = f"{self.schema}.{self.table_name}"
        if not is_open(self.schema, self.table_name, conf.current().truncatable_tables):
            raise TableRefused(name, setting="TRUNCATABLE_TABLES", verb="truncated")
        statement = sql.SQL("TRUNCATE TABLE {}").format(
            sql.Identifier(self.schema, self.table_name)
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
            cursor.execute(statement.as_string(cursor.cursor))
        return f"Table {name} truncated successfully"


def is_open(schema: str, table_name: str, allowed: tuple[str, ...]) -> bool:
    """Whether `allowed`, a list of "schema.table", names this table.

    An entry is split at its first dot, so that it can't mean two tables: schema "a" with table
    "b.c", and schema "a.b" with table "c".
    """
    return (schema, ".", table_name) in {entry.partition(".") for entry in allowed}
