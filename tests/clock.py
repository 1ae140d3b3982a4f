"""The tests' clock: the database's, with an offset that a test may move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection

from jobs.models import clock

_OFFSET = "(SELECT by FROM tests_clock)"


class Clock:
    """Moves the moment that every statement of this process takes; other processes keep theirs."""

    def advance(self, by: timedelta) -> None:
        """Let it be later by so much."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE tests_clock SET by = by + %s", [by])

    def reset(self) -> None:
        """Let it be now."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE tests_clock SET by = '0'")


@contextmanager
def swapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Put the tests' clock in the place of the database's."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tests_clock (by interval NOT NULL)")
        cursor.execute("INSERT INTO tests_clock VALUES ('0')")
    for name in ("NOW", "WALL"):
        monkeypatch.setattr(clock, name, f"({getattr(clock, name)} + {_OFFSET})")
    try:
        yield Clock()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE tests_clock")
