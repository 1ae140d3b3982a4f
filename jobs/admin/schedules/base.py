"""What all views of one schedule share: which one it is, and how they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from jobs import permissions
from jobs.admin import addresses
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.errors import ScheduleError
from jobs.models import Schedule


class ScheduleView:
    """The base of the views; each checks the right for itself."""

    def __init__(self, model_admin: ReadOnlyAdmin) -> None:
        self.model_admin = model_admin

    def find(self, request: HttpRequest, name: str) -> Schedule:
        """Return the schedule for who may see schedules; 404 where there is none."""
        if not permissions.may_view_schedules(request.user):
            raise PermissionDenied
        if "\x00" in name or (schedule := Schedule.objects.filter(name=name).first()) is None:
            raise Http404(f"There is no schedule {name!r}.")
        return schedule

    def answer(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """Return a page of admin/jobs/schedule/."""
        shared = self.model_admin.admin_site.each_context(request)
        opts = {"opts": self.model_admin.opts}
        return TemplateResponse(
            request, f"admin/jobs/schedule/{template}", {**shared, **opts, **context}
        )


def to_page(name: str) -> HttpResponseRedirect:
    """Go to a schedule's page."""
    return HttpResponseRedirect(addresses.of_schedule(name))


@contextmanager
def told(request: HttpRequest, done: str) -> Iterator[None]:
    """Say that it is done; or why not, where somebody else was faster."""
    try:
        yield
    except ScheduleError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, done)
