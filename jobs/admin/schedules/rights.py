"""Who may do what with one schedule in the admin."""

from __future__ import annotations

from django.http import HttpRequest

from jobs import permissions, registry
from jobs.models import Schedule


def may_run(request: HttpRequest, schedule: Schedule) -> bool:
    """Whether this person may have its jobs made, and this process knows their classes."""
    classes = permissions.classes_of(schedule)
    known = all(registry.find(job_class) is not None for job_class in classes)
    return known and permissions.may_run_schedule(request.user, schedule)


def may_backfill(request: HttpRequest, schedule: Schedule) -> bool:
    """Whether this person may have past moments made."""
    return permissions.may_change_schedules(request.user) and may_run(request, schedule)


def may_edit(request: HttpRequest, schedule: Schedule) -> bool:
    """Whether this person may change what the schedule says."""
    # A class that is gone from the code keeps nobody with the right to it from naming another.
    return (
        not schedule.is_of_settings
        and permissions.may_change_schedules(request.user)
        and permissions.may_run_schedule(request.user, schedule)
    )


def may_delete(request: HttpRequest, schedule: Schedule) -> bool:
    """Whether this person may delete it."""
    return not schedule.is_of_settings and permissions.may_change_schedules(request.user)
