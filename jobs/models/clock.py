"""The one clock: the database's. Every statement takes its moment from here."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

# The transaction's moment, for rows; the tests' clock swaps both for one with an offset.
NOW = "now()"
# The wall's moment, for leases and heartbeats, which may be renewed late in a transaction.
WALL = "clock_timestamp()"


def read() -> datetime:
    """Return the database's time: one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {WALL}")
        row = cursor.fetchone()
    moment: datetime = row[0]
    return moment
