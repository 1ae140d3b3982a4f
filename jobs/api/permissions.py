"""REST framework's questions, answered by jobs.permissions."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from jobs import permissions
from jobs.models import JobStatus


class MayView(BasePermission):
    """Read any job."""

    message = "You need the permission to view jobs (jobs.view_jobstatus)."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether the user may read jobs."""
        return permissions.may_view(request.user)


class MayChange(BasePermission):
    """Retry and cancel jobs."""

    message = "You need the permission to change jobs (jobs.change_jobstatus)."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether the user may change jobs."""
        return permissions.may_change(request.user)


class MayViewSchedules(BasePermission):
    """Read any schedule."""

    message = "You need the permission to view schedules (jobs.view_schedule)."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether the user may read schedules."""
        return permissions.may_view_schedules(request.user)


class MayChangeSchedules(BasePermission):
    """Pause, resume, backfill and edit schedules."""

    message = "You need the permission to change schedules (jobs.change_schedule)."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether the user may change schedules."""
        return permissions.may_change_schedules(request.user)


def may_read(user: permissions.AnyUser, job: JobStatus) -> bool:
    """Whether `user` may follow this job: who may view jobs, and who made it."""
    # The maker first: it is known without a query.
    return job.created_by_id == user.pk or permissions.may_view(user)
