"""Which schedules are there? Pages of them, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.models import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some schedules, by name, and after which one the next page begins; None: this is the last."""

    schedules: Sequence[Schedule]
    next_after: str | None


def page(*, paused: bool | None = None, source: str = "", after: str = "", size: int) -> Page:
    """Return a page of schedules: one query.

    Args:
        paused: Only paused ones, or only others; None: all.
        source: Only those of "settings" or of "admin"; empty: all.
        after: Only those whose names come later.
        size: How many at most.
    """
    found = Schedule.objects.filter(name__gt=after).order_by("name")
    if paused is not None:
        found = found.filter(paused_at__isnull=not paused)
    if source:
        found = found.filter(source=source)
    rows = list(found[: size + 1])
    return Page(schedules=rows[:size], next_after=rows[size - 1].name if len(rows) > size else None)


def schedule(name: str) -> Schedule | None:
    """Return the schedule of this name, or None: one query."""
    return Schedule.objects.filter(name=name).first()
