"""How far backfills are, and whether anybody sees to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from jobs.models import Backfill, clock
from jobs.schedules import standings
from jobs.schedules.standings import Standing

# A scheduler looks each second, a busy one somewhat later.
UNSEEN_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A backfill, and how it stands with its runs."""

    backfill: Backfill
    completed: int
    failed: int  # or cancelled
    living: int
    refused: int  # no job could be made
    is_seen_to: bool  # a scheduler looked at it in the last seconds; for the running ones

    @property
    def looked_at(self) -> int:
        """How many of its moments it has come past."""
        return self.backfill.made + self.backfill.passed


def newest(*, schedule_name: str = "", limit: int) -> list[Backfill]:
    """Return the newest backfills, of one schedule or of all."""
    found = Backfill.objects.order_by("-id")
    return list((found.filter(schedule_name=schedule_name) if schedule_name else found)[:limit])


def progress(backfill_id: int) -> Progress | None:
    """Return a backfill with its counts, or None: two queries."""
    found = Backfill.objects.annotate(is_seen_to=_is_seen_to())
    backfill = found.filter(pk=backfill_id).first()
    if backfill is None:
        return None
    counts: Mapping[Standing, int] = standings.tally(backfill_id)
    return Progress(
        backfill=backfill,
        completed=counts[Standing.COMPLETED],
        failed=counts[Standing.FAILED],
        living=counts[Standing.LIVING],
        refused=counts[Standing.MISSING],
        is_seen_to=backfill.is_seen_to,
    )


def _is_seen_to() -> RawSQL:
    return RawSQL(
        f"coalesce(looked_at, created_at) > {clock.WALL} - %s",
        (UNSEEN_AFTER,),
        output_field=BooleanField(),
    )
