"""Who did what to a schedule, newest first."""

from __future__ import annotations

from jobs.models import ScheduleChange


def newest(name: str, *, limit: int, before: int | None = None) -> list[ScheduleChange]:
    """Return the newest changes of a schedule, also of one that is gone: one query.

    Args:
        name: The schedule's.
        limit: How many at most.
        before: Only those with a smaller id: the last of the page before.
    """
    changes = ScheduleChange.objects.filter(schedule_name=name)
    if before is not None:
        changes = changes.filter(id__lt=before)
    return list(changes.order_by("-id")[:limit])
