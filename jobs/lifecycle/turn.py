"""A batch's end and the next one's begin: settle and start in one statement, one commit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DataError, connection

from jobs.lifecycle import encode, locked, settle, start
from jobs.lifecycle.encode import Row
from jobs.lifecycle.outcomes import Settlement
from jobs.lifecycle.settle import Settled
from jobs.lifecycle.start import Beginning
from jobs.models import clock, locking, prepared


def turn(
    settlements: Sequence[Settlement], job_ids: Sequence[UUID], *, worker_id: UUID, room: int = 0
) -> tuple[list[Settled], Beginning]:
    """Settle `settlements` and start the batchable prefix of `job_ids`: both or neither.

    Run it in autocommit. As `settle` and `start` say, but for this: if PostgreSQL refuses the data
    of a settlement, they are settled on their own and nothing starts, every id is there for later.
    """
    ids = list(dict.fromkeys(job_ids))
    if not settlements:
        return [], start.start(ids, worker_id=worker_id, room=room)
    if not ids:
        return settle.settle(settlements), Beginning()
    rows = [encode.encode(settlement) for settlement in settlements]
    given = start.values(ids, worker_id=worker_id, room=room)
    try:
        return locking.repeat_on_conflict(lambda: _execute(rows, ids, given))
    except DataError:
        return settle.halved(rows), Beginning(later=ids)


def _execute(
    rows: Sequence[Row], ids: Sequence[UUID], given: dict[str, Any]
) -> tuple[list[Settled], Beginning]:
    given = settle.values(rows) | given
    with connection.cursor() as cursor:
        prepared.execute(cursor, _statement(clock.NOW, clock.WALL), _TYPES, given)
        found = cursor.fetchall()
    width = start.WIDTH
    return (
        settle.settled([row[width:] for row in found if row[0] is None], rows),
        start.beginning(
            [row[:width] for row in found if row[0] is not None], ids, given["worker_id"]
        ),
    )


_TYPES = settle.TYPES | start.TYPES


@cache
def _statement(now: str, wall: str) -> str:
    return f"""
        WITH {settle.READ}, {locked.rows(f"{start.IDS} || {settle.IDS}")}, {locked.moment(wall)},
            {settle.moved()}, {start.begun(now)}
        SELECT b.*, e.* FROM (SELECT {start.COLUMNS} FROM {start.FATES} ORDER BY f.number) AS b
            FULL JOIN (SELECT {settle.COLUMNS} FROM ended e) AS e ON false
    """
