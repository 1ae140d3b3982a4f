"""Where Redis has a queued job: in its queue's list, in a worker's claims, or nowhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from jobs.broker import lost
from jobs.broker.client import Client
from jobs.broker.lost import Sight
from jobs.maintenance import queued
from jobs.maintenance.queued import Queued
from jobs.models import JobWorker

OLDEST = 10  # rows of a queue that a pass looks for
NEAR = 1_000  # entries from the head; most of the oldest rows stand there

# Which of the oldest is looked for in the whole list: another one each pass.
_turns = itertools.count()

Rows = Mapping[str, Sequence[Queued]]  # by queue


def look(redis: Client, queues: Sequence[str]) -> Sight:
    """Return whether `queues` hold anything and what living workers have claimed."""
    living = JobWorker.objects.filter(stopped_at=None, dead_at=None).values_list("id", flat=True)
    return lost.look(redis, queues, list(living))


def nowhere(redis: Client, rows_by_queue: Rows) -> dict[str, list[Queued]]:
    """Return those of the oldest rows that neither a list nor a claim holds.

    Their entries bear the right claim, so nothing else finds them: an id that a person or the
    dashboard took out of its list, a claim that was deleted. Such a row is found when it should
    have run: what is older runs, so it ends up among its queue's oldest. A row that stands far
    from the head is no proof: a long transaction pushes what was dispatched at its begin.

    Costs a pass at most NEAR entries for each of the OLDEST, and one walk along the whole list.
    """
    oldest = {queue: rows[:OLDEST] for queue, rows in rows_by_queue.items()}
    far = _unheld(redis, _not_listed(redis, oldest, within=NEAR))
    turn = next(_turns)
    tried = {queue: [rows[turn % len(rows)]] for queue, rows in far.items()}
    gone = _not_listed(redis, tried)
    # Where one is gone, the others may be.
    gone = _not_listed(redis, {queue: far[queue] for queue in gone})
    return _unheld(redis, gone)


def _not_listed(
    redis: Client, rows_by_queue: Rows, *, within: int | None = None
) -> dict[str, list[Queued]]:
    ids_by_queue = {queue: [row.job_id for row in rows] for queue, rows in rows_by_queue.items()}
    listed = lost.listed(redis, ids_by_queue, within=within)
    return _without_empty(
        {
            queue: [row for row in rows if row.job_id not in listed]
            for queue, rows in rows_by_queue.items()
        }
    )


def _unheld(redis: Client, rows_by_queue: Rows) -> dict[str, list[Queued]]:
    """Leave out what has been claimed or started since it was read."""
    if not rows_by_queue:
        return {}
    held = look(redis, list(rows_by_queue)).held
    still = {
        job.id for job in queued.still([row for rows in rows_by_queue.values() for row in rows])
    }
    return _without_empty(
        {
            queue: [row for row in rows if row.job_id in still and str(row.job_id) not in held]
            for queue, rows in rows_by_queue.items()
        }
    )


def _without_empty(rows_by_queue: dict[str, list[Queued]]) -> dict[str, list[Queued]]:
    return {queue: rows for queue, rows in rows_by_queue.items() if rows}
