"""A PostgreSQL that answers, but refuses a statement: as where a migration is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

RAISE = "RAISE EXCEPTION 'refused by a test' USING ERRCODE = 'undefined_table'"
DIE = "PERFORM pg_terminate_backend(pg_backend_pid())"


@contextmanager
def refused(
    condition: str, *, by: str = RAISE, when: str = "INSERT ON job_attempts"
) -> Iterator[None]:
    """Within, the attempts for which this holds can't be recorded: `NEW.outcome = 'failed'`.

    Args:
        condition: What a trigger may ask.
        by: A statement in PL/pgSQL.
        when: Another statement than that of a record.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN {by}; RETURN NEW; END $$""")
        cursor.execute(f"""
            CREATE TRIGGER refuse BEFORE {when}
            FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()""")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse() CASCADE")
