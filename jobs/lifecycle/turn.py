"""A batch's end and the next one's begin: settle and start in one statement, one commit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from jobs.lifecycle import encode, locked, settle, single, start
from jobs.lifecycle.encode import Row
from jobs.lifecycle.outcomes import Settlement
from jobs.lifecycle.settle import Settled
from jobs.lifecycle.start import Beginning
from jobs.models import clock, locking, prepared, refusals


def turn(
    settlements: Sequence[Settlement], job_ids: Sequence[UUID], *, worker_id: UUID, room: int = 0
) -> tuple[list[Settled], Beginning]:
    """Settle `settlements` and start the batchable prefix of `job_ids`: in one commit.

    Run it in autocommit. As `settle` and `start` say, but for this: it waits for no row that
    somebody holds; and if PostgreSQL refuses a row, the settlements are settled on their own and
    nothing starts, every id is there for later. Never raises once it has committed.
    """
    settled, beginning = _turn(settlements, job_ids, worker_id=worker_id, room=room)
    return settle.followed(settled), beginning


def _turn(
    settlements: Sequence[Settlement], job_ids: Sequence[UUID], *, worker_id: UUID, room: int
) -> tuple[list[Settled], Beginning]:
    ids = list(dict.fromkeys(job_ids))
    if single.is_for(settlements, ids):
        try:
            return _single(settlements, ids, worker_id=worker_id, room=room)
        except DatabaseError as error:
            if not refusals.is_of_a_row(error):
                raise  # else those below find out which it is
    if not settlements:
        return [], start.start(ids, worker_id=worker_id, room=room)
    if not ids:
        rows = [encode.encode(settlement) for settlement in settlements]
        return settle.halved(rows, wait=False), Beginning()
    rows = [encode.encode(settlement) for settlement in settlements]
    given = start.values(ids, worker_id=worker_id, room=room)
    try:
        return locking.repeat_on_conflict(lambda: _execute(rows, ids, given))
    except DatabaseError as error:
        if connection.in_atomic_block or not refusals.is_of_a_row(error):
            raise
        return settle.halved(rows, wait=False), Beginning(later=ids)


def _single(
    settlements: Sequence[Settlement], ids: Sequence[UUID], *, worker_id: UUID, room: int
) -> tuple[list[Settled], Beginning]:
    settled, jobs = locking.repeat_on_conflict(
        lambda: single.turn(settlements, ids, worker_id=worker_id, room=room)
    )
    if jobs:
        return settled, Beginning(jobs=jobs)
    return settled, start.start(ids, worker_id=worker_id, room=room)


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
    rows = locked.rows(f"{start.IDS} || {settle.IDS}", wait=False)
    return f"""
        WITH {settle.READ}, {rows}, {locked.moment(wall)},
            {settle.moved()}, {start.begun(now)}
        SELECT b.*, e.* FROM (SELECT {start.COLUMNS} FROM {start.FATES} ORDER BY f.number) AS b
            FULL JOIN (SELECT {settle.COLUMNS} FROM ended e) AS e ON false
    """
