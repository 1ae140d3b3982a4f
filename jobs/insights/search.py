"""Which jobs? The one filter grammar, and pages of what it finds, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from jobs.insights.places import Place
from jobs.models import JobAttempt, JobQuerySet, JobStatus
from jobs.statuses import Status

# Neither is read for a list: each may be a megabyte.
LARGE = ("params", "result")
# No index finds a class, a queue, a tag or a word: one look for them goes through so many of the
# newest jobs, and says where it stopped.
LOOKED_THROUGH = 10_000

Condition = tuple[str, list[Any]]  # SQL, and its values


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked for; what is left out asks for nothing."""

    statuses: tuple[Status, ...] = ()  # any of them
    job: str = ""
    queue: str = ""
    tag: str = ""
    schedule: str = ""
    words: tuple[str, ...] = ()  # each in the job class or in the error, in any case
    created_after: datetime | None = None  # at or after this moment
    created_before: datetime | None = None  # before this moment

    def indexed(self, after: Place | None, floor: Place | None) -> Iterator[Condition]:
        """Yield what `job_statuses_by_status` finds, as conditions on the row `j`.

        One bound on each side, the nearer one: a second one would have the index read up to the
        farther.
        """
        if after is not None and not self._begins_below(after):
            yield "(j.created_at, j.id) < (%s, %s)", [after.created_at, after.job_id]
        elif self.created_before is not None:
            yield "j.created_at < %s", [self.created_before]
        if floor is not None:
            yield "(j.created_at, j.id) >= (%s, %s)", [floor.created_at, floor.job_id]
        elif self.created_after is not None:
            yield "j.created_at >= %s", [self.created_after]

    def _begins_below(self, after: Place) -> bool:
        return self.created_before is not None and self.created_before <= after.created_at

    def looked_for(self) -> Iterator[Condition]:
        """Yield what no index finds, as conditions on the row `n`."""
        for column, value in (
            ("job_class", self.job),
            ("queue", self.queue),
            ("schedule", self.schedule),
        ):
            if value:
                yield f"n.{column} = %s", [value]
        if self.tag:
            yield "%s = ANY(n.tags)", [self.tag]
        for word in self.words:
            yield "strpos(upper(n.job_class || ' ' || n.error), upper(%s)) > 0", [word]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The ids of jobs, newest first; where the look for more stopped, None where there are none."""

    ids: list[UUID]
    stopped_at: Place | None

    def of(self, jobs: JobQuerySet) -> JobQuerySet:
        """Return those of `jobs` that were found, in no order."""
        ids = ",".join(map(str, self.ids))
        # One value: a list of thousands takes PostgreSQL longer to plan than to look up.
        found: Any = jobs.extra(where=["job_statuses.id = ANY(%s::uuid[])"], params=[f"{{{ids}}}"])
        narrowed: JobQuerySet = found
        return narrowed


def find(where: Filter, *, after: Place | None = None, limit: int) -> Found:
    """Find up to `limit` jobs that `where` asks for, newest first.

    Costs the same however many jobs there are, one statement or two. Where no index finds what is
    asked for it looks through LOOKED_THROUGH jobs, and `stopped_at` says how far down it came; else
    all that there are, up to `limit`, are found.

    Args:
        where: Which jobs.
        after: Further down than which place; default: from the newest job on.
        limit: How many jobs at most.
    """
    looked_for = list(where.looked_for())
    floor = _floor(where, after) if looked_for else None
    rows, values = _newest(where, after=after, floor=floor)
    conditions = " AND ".join([sql for sql, _ in looked_for] or ["true"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {rows} LIMIT %s) AS n WHERE {conditions}
            ORDER BY n.created_at DESC, n.id DESC LIMIT %s
            """,
            [
                *values,
                LOOKED_THROUGH if looked_for else limit,
                *(value for _, given in looked_for for value in given),
                limit,
            ],
        )
        ids = [row[0] for row in cursor.fetchall()]
    return Found(ids=ids, stopped_at=floor)


def _floor(where: Filter, after: Place | None) -> Place | None:
    """Return how far down a look goes: LOOKED_THROUGH jobs at least, of each status at most.

    None where no status has as many: it goes to the end.
    """
    rows, values = _newest(where, after=after, floor=None)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {rows} OFFSET %s LIMIT 1) AS n
            ORDER BY n.created_at DESC, n.id DESC LIMIT 1
            """,
            [*values, LOOKED_THROUGH - 1],
        )
        row = cursor.fetchone()
    return None if row is None else Place(job_id=row[0], created_at=row[1])


def _newest(where: Filter, *, after: Place | None, floor: Place | None) -> tuple[str, list[Any]]:
    # Each status from its newest job on, in the order of job_statuses_by_status. So nothing has to
    # be estimated: told to read what is between two places, PostgreSQL may take it for half of the
    # table, and read all of it. What isn't used outside isn't fetched.
    indexed = [("j.status = s.status", list[Any]()), *where.indexed(after, floor)]
    return (
        f"""
        SELECT n.id, n.created_at FROM unnest(%s::text[]) AS s(status), LATERAL (
            SELECT j.* FROM job_statuses j WHERE {" AND ".join(sql for sql, _ in indexed)}
            ORDER BY j.created_at DESC, j.id DESC""",
        [
            [status.value for status in where.statuses or Status],
            *(value for _, given in indexed for value in given),
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some jobs, newest first, and where the next page begins; None after the last one."""

    jobs: list[JobStatus]
    next: Place | None


def page(where: Filter, *, after: Place | None = None, size: int) -> Page:
    """Return a page of the jobs that `where` asks for, without params and results.

    Jobs made meanwhile shift nothing. As `find`: where no index finds what is asked for, a page may
    hold fewer than `size` jobs, or none, though there are more. It is the last one when `next` is
    None.

    Args:
        where: Which jobs.
        after: Where the page begins; default: at the newest job.
        size: How many jobs at most.
    """
    found = find(where, after=after, limit=size + 1)
    jobs = found.of(JobStatus.objects.all()).order_by("-created_at", "-id").defer(*LARGE)
    rows = list(jobs)
    kept = rows[:size]
    if len(rows) > size:
        return Page(jobs=kept, next=Place(created_at=kept[-1].created_at, job_id=kept[-1].id))
    return Page(jobs=kept, next=found.stopped_at)


def job(job_id: UUID) -> JobStatus | None:
    """Return the job, or None: one query."""
    return JobStatus.objects.filter(id=job_id).first()


def job_with_names(job_id: UUID) -> JobStatus | None:
    """Return the job with its worker and the user who made it, or None: one query."""
    return JobStatus.objects.filter(id=job_id).select_related("worker", "created_by").first()


def attempts(job: JobStatus, *, newest: int) -> Sequence[JobAttempt]:
    """Return the last `newest` ended attempts of `job`, oldest first."""
    return list(job.attempts.order_by("-claim")[:newest])[::-1]
