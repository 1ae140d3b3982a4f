"""Which jobs? The one filter grammar, and pages of what it finds, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from jobs.models import JobAttempt, JobQuerySet, JobStatus
from jobs.statuses import Status

# Neither is read for a list: each may be a megabyte.
LARGE = ("params", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked for; what is left out asks for nothing."""

    statuses: tuple[Status, ...] = ()  # any of them
    job: str = ""
    queue: str = ""
    tag: str = ""
    created_after: datetime | None = None  # at or after this moment
    created_before: datetime | None = None  # before this moment

    def conditions(self) -> Q:
        """Return the filter as conditions on JobStatus."""
        asked = Q()
        if self.statuses:
            asked &= Q(status__in=self.statuses)
        if self.job:
            asked &= Q(job_class=self.job)
        if self.queue:
            asked &= Q(queue=self.queue)
        if self.tag:
            asked &= Q(tags__contains=[self.tag])
        if self.created_after is not None:
            asked &= Q(created_at__gte=self.created_after)
        if self.created_before is not None:
            asked &= Q(created_at__lt=self.created_before)
        return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the list of all jobs, newest first: the job after which a page begins."""

    created_at: datetime
    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some jobs, newest first, and where the next page begins; None after the last one."""

    jobs: list[JobStatus]
    next: Place | None


def jobs(where: Filter) -> JobQuerySet:
    """Return the jobs that `where` asks for, in no order."""
    return JobStatus.objects.filter(where.conditions())


def page(where: Filter, *, after: Place | None = None, size: int) -> Page:
    """Return a page of the jobs that `where` asks for: one query, without params and results.

    Reads the index job_statuses_newest from `after` on; jobs made meanwhile shift nothing.

    Args:
        where: Which jobs.
        after: Where the page begins; default: at the newest job.
        size: How many jobs at most.
    """
    found = jobs(where).order_by("-created_at", "-id").defer(*LARGE)
    if after is not None:
        # The first condition bounds the index scan; the second passes over what shares its moment.
        found = found.filter(created_at__lte=after.created_at).filter(
            Q(created_at__lt=after.created_at) | Q(id__lt=after.job_id)
        )
    rows = list(found[: size + 1])
    kept = rows[:size]
    has_more = len(rows) > size
    following = Place(created_at=kept[-1].created_at, job_id=kept[-1].id) if has_more else None
    return Page(jobs=kept, next=following)


def job(job_id: UUID) -> JobStatus | None:
    """Return the job, or None: one query."""
    return JobStatus.objects.filter(id=job_id).first()


def job_with_names(job_id: UUID) -> JobStatus | None:
    """Return the job with its worker and the user who made it, or None: one query."""
    return JobStatus.objects.filter(id=job_id).select_related("worker", "created_by").first()


def attempts(job: JobStatus, *, newest: int) -> Sequence[JobAttempt]:
    """Return the last `newest` ended attempts of `job`, oldest first."""
    return list(job.attempts.order_by("-claim")[:newest])[::-1]
