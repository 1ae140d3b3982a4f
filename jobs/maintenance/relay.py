"""The relay: promote jobs whose time has come, and push again what Redis has lost."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from jobs import conf
from jobs.broker import client as broker_client
from jobs.broker import lost, memory
from jobs.broker.client import Client
from jobs.broker.lost import Sight
from jobs.dispatch import outbox
from jobs.maintenance import queued, shown, whereabouts
from jobs.maintenance.queued import Queued

logger = logging.getLogger("jobs.maintenance")

PROMOTED_AT_ONCE = 100  # read with their params, of up to a megabyte each
COMPARED = 200  # rows of a queue, the oldest, that a pass compares with their entries
PAGE = 500  # rows of a queue that a check of all compares at once
PUSHED_AT_ONCE = 100  # likewise


def _yes() -> bool:
    return True


def promote(go_on: Callable[[], bool] = _yes) -> int:
    """Move due jobs and push them: scheduled, retrying -> queued. Return how many moved.

    Opens its own transactions. Two relays at once promote each job once: a row that one of them
    locks is skipped by the other. What can't be pushed is found by `push_lost`.

    Args:
        go_on: Asked before each batch; after a no the next pass, perhaps another's, goes on.
    """
    count = 0
    due = sorted(queued.TIMED)
    while due:
        # In turns, so that retries don't wait for the end of all that was scheduled.
        for timed in tuple(due):
            if not go_on():
                return count
            jobs = queued.promote(timed, limit=PROMOTED_AT_ONCE)
            if jobs:
                outbox.push(jobs, may_wait=True)
            count += len(jobs)
            if len(jobs) < PROMOTED_AT_ONCE:
                due.remove(timed)
    return count


def push_lost(go_on: Callable[[], bool] = _yes) -> int:
    """Push again the queued jobs that Redis doesn't have; return how many.

    Lost is a job whose entry is missing or bears another claim than the row, every job of a queue
    whose list and claims are empty, and of a queue's oldest what neither a list nor a claim holds.
    Compares the oldest rows of each queue, which go to the head; or all rows where Redis was
    flushed, or where as many are lost as were compared. What a living worker has claimed isn't
    lost. A push too many is harmless: the start moves no row twice.

    Args:
        go_on: Asked before each page, for a long backlog takes a while. After a no the next pass
            begins anew.

    Raises:
        broker.client.Unreachable: Redis is down or hangs; the next pass begins anew.
    """
    redis = broker_client.for_work()
    if not lost.is_checked(redis):
        return _check_all(redis, go_on)
    rows_by_queue = queued.overdue(limit=COMPARED)
    if not rows_by_queue:
        return 0
    sight = whereabouts.look(redis, list(rows_by_queue))
    lost_by_queue = {
        queue: _lost(redis, rows, sight, is_empty=queue in sight.empty)
        for queue, rows in rows_by_queue.items()
    }
    if any(len(rows) == COMPARED for rows in lost_by_queue.values()):
        return _check_all(redis, go_on)
    astray = whereabouts.nowhere(redis, _seen(rows_by_queue, lost_by_queue, sight))
    count = 0
    for queue, rows in lost_by_queue.items():
        pushed = _push_at_head([*rows, *astray.get(queue, ())])
        _report(queue, pushed)
        count += pushed
    return count


def _seen(
    rows_by_queue: Mapping[str, Sequence[Queued]],
    lost_by_queue: Mapping[str, Sequence[Queued]],
    sight: Sight,
) -> dict[str, list[Queued]]:
    """Return what Redis seems to have, and no worker has claimed."""
    seen = {}
    for queue, rows in rows_by_queue.items():
        lost_ids = {row.job_id for row in lost_by_queue[queue]}
        seen[queue] = [
            row for row in rows if row.job_id not in lost_ids and str(row.job_id) not in sight.held
        ]
    return seen


def _until_a_no(go_on: Callable[[], bool]) -> Callable[[], bool]:
    """Return `go_on`, whose first no stays: a lease may come back, what was left out doesn't."""
    said_no = False

    def may_go_on() -> bool:
        nonlocal said_no
        said_no = said_no or not go_on()
        return not said_no

    return may_go_on


def _check_all(redis: Client, go_on: Callable[[], bool]) -> int:
    go_on = _until_a_no(go_on)
    names = dict.fromkeys([*conf.current().queues, *queued.queues()])
    begins = lost.begin_check(redis)
    if begins and (fault := memory.fault(redis)):
        logger.warning("%s", fault)
    count = 0
    for queue in names:
        if begins:
            if not _lacks_any(redis, queue, go_on):
                continue  # nothing to put before what waits: the queue is never out of sight
            # What was dispatched since the loss lies aside, so that older jobs stand before it and
            # a runner may begin with the oldest at once.
            lost.set_aside(redis, queue)
        count += _refill(redis, queue, go_on)
    if go_on():
        lost.end_check(redis)
        # Last: what only the dashboard shows must not have all rows compared again.
        shown.tell_anew()
    return count


def _lacks_any(redis: Client, queue: str, go_on: Callable[[], bool]) -> bool:
    sight = whereabouts.look(redis, [queue])
    is_empty = queue in sight.empty
    # What a runner has started since its page was read bears another claim, and isn't lost.
    return any(
        queued.still(_lost(redis, page, sight, is_empty=is_empty)) for page in _pages(queue, go_on)
    )


def _refill(redis: Client, queue: str, go_on: Callable[[], bool]) -> int:
    sight = whereabouts.look(redis, [queue])
    count = 0
    for page in _pages(queue, go_on):
        rows = _lost(redis, page, sight, is_empty=queue in sight.empty)
        count += sum(_push(chunk) for chunk in _chunks(rows))
    lost.bring_back(redis, queue)
    _report(queue, count)
    return count


def _pages(queue: str, go_on: Callable[[], bool]) -> Iterator[list[Queued]]:
    return itertools.takewhile(lambda _: go_on(), queued.pages(queue, size=PAGE))


def _lost(redis: Client, rows: Sequence[Queued], sight: Sight, *, is_empty: bool) -> list[Queued]:
    unclaimed = [row for row in rows if str(row.job_id) not in sight.held]
    if is_empty:
        return unclaimed
    missing = lost.missing(redis, {row.job_id: row.claim for row in unclaimed})
    return [row for row in unclaimed if row.job_id in missing]


def _push_at_head(rows: Sequence[Queued]) -> int:
    rows = sorted(rows, key=lambda row: (row.due_at, row.job_id))
    # The last first: each chunk goes before what was pushed already.
    return sum(_push(chunk, at_head=True) for chunk in reversed(_chunks(rows)))


def _chunks(rows: Sequence[Queued]) -> list[Sequence[Queued]]:
    return [rows[i : i + PUSHED_AT_ONCE] for i in range(0, len(rows), PUSHED_AT_ONCE)]


def _push(rows: Sequence[Queued], *, at_head: bool = False) -> int:
    jobs = queued.still(rows)
    if jobs and not outbox.push(jobs, at_head=at_head, may_wait=True):
        raise broker_client.Unreachable("the outbox leaves Redis alone for a moment")
    return len(jobs)


def _report(queue: str, count: int) -> None:
    if count:
        logger.warning("Pushed %d job(s) of queue %s that Redis had lost", count, queue)
