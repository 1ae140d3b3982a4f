"""The prune: ended jobs past their retention are deleted with their attempts, a few at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import connection

from jobs import conf, registry
from jobs.maintenance import runs
from jobs.models import JobStatus, clock, locking
from jobs.retention import Retention
from jobs.statuses import TERMINAL, Status

logger = logging.getLogger("jobs.maintenance")

BATCH = 1_000  # jobs that one statement deletes at most
# A row may be megabytes: the first statement of each class and status is small, the next ones grow
# as long as none takes longer than this.
FIRST_BATCH = 16
LONGEST_SECONDS = 0.25
# The pause after a statement, in its own durations: a busy database is left alone for longer.
REST_SHARE = 2.0
LONGEST_REST_SECONDS = 0.5
# The rescue, the job pages and `jobs show` name a worker by its row; attempts keep its name.
WORKERS_KEPT = timedelta(days=7)
# No row is so old, and PostgreSQL knows no moment that is much older.
_FOR_EVER = timedelta(days=365_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which ended jobs are meant; what is left out leaves none out."""

    statuses: tuple[Status, ...] = ()  # any of them
    job: str = ""
    older_than: timedelta | None = None  # in place of every retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The ended jobs of one class in one status, and how long they are kept."""

    job_class: str
    status: Status
    kept: timedelta


@dataclass(slots=True, kw_only=True)
class Pace:
    """How many jobs the next statement deletes, and how long to rest before it."""

    largest: int = BATCH
    size: int = FIRST_BATCH
    rest_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.size = min(self.size, self.largest)

    def learn(self, took_seconds: float) -> None:
        """Take the duration of the last statement into account."""
        if took_seconds > LONGEST_SECONDS:
            self.size = max(1, self.size // 2)
        else:
            self.size = min(self.size * 2, self.largest)
        self.rest_seconds = min(took_seconds * REST_SHARE, LONGEST_REST_SECONDS)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def prune(rest: Callable[[float], bool] = _sleep, *, batch: int = BATCH) -> int:
    """Delete ended jobs past their retention, old runs, and the rows of workers long ended.

    Opens its own transactions, one for each batch. What somebody else holds is left to the next
    pass; a job that is retried meanwhile stays, and so does one that a living job depends on. The
    runs of schedules stay for longer, without their jobs.

    Args:
        rest: Called after each batch with the seconds to pause; after a no the next pass goes on.
        batch: How many jobs one statement deletes at most.

    Returns:
        How many jobs were deleted.
    """
    count = 0
    for lane in lanes(Selection()):
        for deleted, rest_seconds in batches(lane, largest=batch):
            count += deleted
            if not rest(rest_seconds):
                return _report(count)
    _delete_workers()
    runs.prune(rest)
    return _report(count)


def _report(count: int) -> int:
    if count:
        logger.info("Pruned %d jobs", count)
    return count


def lanes(where: Selection) -> list[Lane]:
    """Return what of the ended jobs may be past its retention, by class and status.

    One statement: two or three pages of `job_statuses_ended` for each class and status there is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_classes_and_statuses())
        found = [(job_class, Status(status)) for job_class, status in cursor.fetchall()]
    wanted = [
        Lane(
            job_class=job_class,
            status=status,
            kept=_kept(job_class, status) if where.older_than is None else where.older_than,
        )
        for job_class, status in found
        if status in (where.statuses or TERMINAL) and where.job in {"", job_class}
    ]
    return [lane for lane in wanted if lane.kept < _FOR_EVER]


def _kept(job_class: str, status: Status) -> timedelta:
    # Rows of a class that this code doesn't know follow the settings.
    spec = registry.find(job_class)
    own = Retention() if spec is None else spec.retention
    settings = conf.current()
    match status:
        case Status.COMPLETED:
            return own.completed or settings.retention_completed
        case Status.FAILED:
            return own.failed or settings.retention_failed
        case Status.CANCELLED:
            return own.cancelled or settings.retention_cancelled
        case _:
            return timedelta.max


def has_ended(job_class: str) -> bool:
    """Whether there is any ended job of that class, known to this code or not."""
    return JobStatus.objects.filter(job_class=job_class, finished_at__isnull=False).exists()


def count(lane: Lane) -> int:
    """Count the jobs of `lane` that are past their retention."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM job_statuses j WHERE {_is_old()}", _old(lane))
        row = cursor.fetchone()
    number: int = row[0]
    return number


def batches(lane: Lane, *, largest: int = BATCH) -> Iterator[tuple[int, float]]:
    """Delete the jobs of `lane` that are past their retention, batch by batch.

    Yields after each batch how many jobs it deleted, and how many seconds to rest now.

    One statement and transaction a batch, by `job_statuses_ended` from where the last one ended:
    what is deleted but not yet vacuumed is not read again.
    """
    pace = Pace(largest=largest)
    since: datetime | str = "-infinity"
    while True:
        size, begun = pace.size, time.monotonic()
        deleted, since = locking.repeat_on_conflict(partial(_delete, lane, since, size))
        pace.learn(time.monotonic() - begun)
        if deleted:
            yield deleted, pace.rest_seconds
        if deleted < size:
            return


def _delete(lane: Lane, since: datetime | str, size: int) -> tuple[int, datetime | str]:
    with connection.cursor() as cursor:
        cursor.execute(_deletion(), [*_old(lane), since, size])
        deleted, newest = cursor.fetchone()
    return deleted, newest or since


def _old(lane: Lane) -> list[str | float]:
    return [lane.job_class, lane.status.value, lane.kept.total_seconds()]


def _is_old() -> str:
    # All that a job must be to be deleted. What waits for one is asked by
    # `job_dependencies_parent_id`.
    return f"""j.job_class = %s AND j.status = %s
                AND j.finished_at <= {clock.NOW} - make_interval(secs => %s)
                AND NOT EXISTS (
                    SELECT 1 FROM job_dependencies d JOIN job_statuses c ON c.id = d.job_id
                    WHERE d.parent_id = j.id AND c.finished_at IS NULL)"""


def _deletion() -> str:
    # A person may be retrying a job of the batch: a row that they hold is skipped, and one that
    # they have just moved is looked at again under the lock, and no longer fits.
    return f"""
        WITH old AS MATERIALIZED (
            SELECT j.id, j.finished_at, j.status, j.schedule, j.logical_time FROM job_statuses j
            WHERE {_is_old()} AND j.finished_at >= %s::timestamptz
            ORDER BY j.finished_at LIMIT %s FOR UPDATE SKIP LOCKED),
        {runs.LET_GO},
        attempts AS (
            DELETE FROM job_attempts WHERE job_id = ANY(ARRAY(SELECT id FROM old))),
        gone AS (
            DELETE FROM job_statuses WHERE id = ANY(ARRAY(SELECT id FROM old)) RETURNING 1)
        SELECT (SELECT count(*) FROM gone), (SELECT max(finished_at) FROM old)
    """


def _classes_and_statuses() -> str:
    # A loose index scan: one descent for each that there is, however many rows it has.
    following = """
        SELECT job_class, status FROM job_statuses j
        WHERE finished_at IS NOT NULL {} ORDER BY job_class, status LIMIT 1"""
    return f"""
        WITH RECURSIVE lane AS (
            ({following.format("")})
            UNION ALL
            SELECT n.job_class, n.status FROM lane l, LATERAL ({
        following.format("AND (j.job_class, j.status) > (l.job_class, l.status)")
    }) AS n)
        SELECT job_class, status FROM lane
    """


def _delete_workers() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_workers_deletion(), [WORKERS_KEPT.total_seconds(), BATCH])


def _workers_deletion() -> str:
    # A dead worker's jobs are settled first: their attempts name it.
    return f"""
        DELETE FROM job_workers WHERE id = ANY(ARRAY(
            SELECT w.id FROM job_workers w
            WHERE greatest(w.stopped_at, w.dead_at) <= {clock.WALL} - make_interval(secs => %s)
                AND NOT EXISTS (SELECT 1 FROM job_statuses j
                    WHERE j.status = 'started' AND j.worker_id = w.id)
            ORDER BY w.id LIMIT %s FOR UPDATE OF w SKIP LOCKED))
    """
