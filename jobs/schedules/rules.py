"""When a Schedule row is due, as a rule of schedules/moments/cron.py."""

from __future__ import annotations

from jobs.models import Schedule
from jobs.schedules.moments.cron import Rule


def rule_of(row: Schedule) -> Rule:
    """Return the rule that a row states."""
    return Rule(
        crons=tuple(row.crons),
        every=row.every,
        timezone=row.timezone,
        start_at=row.start_at,
        end_at=row.end_at,
    )
