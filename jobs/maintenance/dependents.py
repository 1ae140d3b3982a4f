"""The duty for jobs that depend on others: what no look after an end has moved is moved now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from jobs.dispatch import advance
from jobs.models import JobStatus
from jobs.statuses import Status

PAGE = 500  # waiting jobs that one statement looks at
PAGES = 4  # of one pass: of more waiting jobs the next pass looks at the next ones
# Between two passes, at least: each costs some 50 ms where so many wait.
EVERY_SECONDS = 1.0


class Dependents:
    """Looks at all waiting jobs in turn, oldest first; remembers how far it has come."""

    def __init__(self) -> None:
        self._after: tuple[datetime, UUID] | None = None

    def release(self, go_on: Callable[[], bool]) -> int:
        """Move waiting jobs whose parents have ended; return how many.

        waiting -> queued, scheduled, cancelled. Opens its own transactions. A runner that was
        killed between the end of a job and the look at its dependents costs them the time until the
        next pass.

        Args:
            go_on: Asked before each page; after a no the next pass goes on.
        """
        count = 0
        for _ in range(PAGES):
            if not go_on():
                break
            page = self._page()
            count += len(advance.check([job_id for _, job_id in page]))
            self._after = page[-1] if len(page) == PAGE else None
            if self._after is None:
                break
        return count

    def _page(self) -> list[tuple[datetime, UUID]]:
        # By `job_statuses_by_status`; the row comparison is spelt out for its sake.
        rows = JobStatus.objects.filter(status=Status.WAITING).order_by("created_at", "id")
        page = rows.values_list("created_at", "id")
        if self._after is not None:
            page = page.extra(where=["(created_at, id) > (%s, %s)"], params=[*self._after])
        return list(page[:PAGE])
