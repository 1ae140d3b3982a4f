"""Django's `flush`, which ends each test that commits, without what most of them don't need."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import connections

# `migrate` fills them, and Django's flush does it again, row by row: most of its time.
_KEPT = ("auth_permission", "django_content_type")


class Command(flush.Command):
    """Empty only the tables that aren't, and keep the permissions where a flush left them."""

    _left: str | None = None  # what a whole flush of this process left in those tables

    def handle(self, **options: Any) -> None:
        """Do so; at first, and where a test has changed a permission, do all that Django does."""
        # As Django's own does each time: a test may have looked at another database.
        ContentType.objects.clear_cache()
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            if self._left == _kept(cursor):
                filled = _filled(cursor, connection)
                # What refers to their rows goes along.
                statements = connection.ops.sql_flush(no_style(), filled, allow_cascade=True)
                connection.ops.execute_sql_flush(statements)
            else:
                super().handle(**options)
                Command._left = _kept(cursor)


def _kept(cursor: Any) -> str:
    tables = " UNION ALL ".join(f"SELECT {name}::text AS row FROM {name}" for name in _KEPT)
    cursor.execute(f"SELECT string_agg(row, '' ORDER BY row) FROM ({tables}) AS kept")
    return cursor.fetchone()[0]


def _filled(cursor: Any, connection: Any) -> list[str]:
    tables = connection.introspection.django_table_names(only_existing=True)
    cursor.execute(
        " UNION ALL ".join(
            f"SELECT '{name}' WHERE EXISTS (SELECT FROM {connection.ops.quote_name(name)})"
            for name in sorted(set(tables) - set(_KEPT))
        )
    )
    return [name for (name,) in cursor.fetchall()]
