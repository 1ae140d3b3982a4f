"""Schedules of job classes that this process doesn't know: for a while they are left to others.

In a deploy schedulers of two releases run side by side, and an older one meets what the newer one,
or a person in the newer admin, has written. It would refuse a moment that the newer one makes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from jobs import registry
from jobs.models import Schedule, clock
from jobs.schedules import requests

# So much later than its moment one is handled here all the same: nobody seems to know its class.
# A backfill likewise, after nobody has seen to it for so long.
PATIENCE = timedelta(seconds=60)


def ripe() -> RawSQL:
    """Return what is true of the rows of job_schedules that this process is to handle now.

    Their moment has come, by job_schedules_due; some while ago where a job class is unknown here.
    """
    known = [spec.name for spec in registry.specs()]
    return RawSQL(
        f"""
        next_at <= {clock.NOW} AND (
            next_at <= {clock.NOW} - %s::interval
            OR CASE WHEN steps IS NULL THEN job_class = ANY (%s::text[])
                ELSE jsonb_path_query_array(steps, '$.*.job') <@ to_jsonb(%s::text[]) END
        )
        """,
        (PATIENCE, known, known),
        output_field=BooleanField(),
    )


def now_for(schedule: Schedule, now: datetime) -> datetime:
    """Return the time by which a schedule's moments are told: of one that is left, a while ago.

    So each of its moments, when nobody has made it, is refused in its turn as one that is on time.
    """
    return now - PATIENCE if unknown(schedule) else now


def unknown(schedule: Schedule) -> list[str]:
    """Return which of a schedule's job classes are unknown here."""
    return [job for job, _ in requests.named(schedule) if registry.find(job) is None]
