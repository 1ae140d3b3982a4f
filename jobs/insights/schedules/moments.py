"""What a schedule's rule says of the time to come, and in whose time it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise

from jobs.models import Schedule
from jobs.schedules.moments import cron, zones
from jobs.schedules.moments.cron import Rule

_LOOKED_AT = 9  # moments that tell how often it runs


def zone_of(schedule: Schedule) -> tzinfo:
    """Return a schedule's zone; UTC where the row names none that is known."""
    return zones.find(schedule.timezone) or UTC


def next_moments(rule: Rule, now: datetime, count: int) -> list[datetime]:
    """Return the next moments of a rule; none of a faulty one."""
    if cron.fault(rule):
        return []
    return list(islice(cron.moments(rule, after=now, until=now + timedelta(days=36_500)), count))


def gap_of(rule: Rule, now: datetime) -> timedelta | None:
    """Return how far apart a rule's moments usually are; None where there is no telling."""
    moments = next_moments(rule, now, _LOOKED_AT)
    gaps = sorted(later - earlier for earlier, later in pairwise(moments))
    return gaps[len(gaps) // 2] if gaps else None
