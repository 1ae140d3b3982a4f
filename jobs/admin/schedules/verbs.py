"""What a person does to one schedule from its page: pause, resume, run now, delete."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from jobs import permissions, registry
from jobs.admin import addresses
from jobs.admin.schedules import rights
from jobs.admin.schedules.base import ScheduleView, to_page, told
from jobs.admin.schedules.params import ScheduleParamsForm
from jobs.errors import DispatchError, InvalidParams, ScheduleError
from jobs.models import Schedule
from jobs.schedules import control


class VerbViews(ScheduleView):
    """The views of the verbs; each checks the right for itself."""

    def pause(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask for a note (GET), or pause it (POST)."""
        schedule = self._changeable(request, name)
        if request.method != "POST":
            return self.answer(
                request, "pause.html", title=f"Pause {schedule.name}?", schedule=schedule
            )
        note = request.POST.get("note", "")
        with told(request, f"Schedule {schedule.name} is paused."):
            control.pause(schedule.name, by=request.user.get_username(), note=note)
        return to_page(schedule.name)

    def resume(self, request: HttpRequest, name: str) -> HttpResponse:
        """End its pause (POST)."""
        schedule = self._changeable(request, name)
        if request.method != "POST":
            raise PermissionDenied
        with told(request, f"Schedule {schedule.name} goes on."):
            control.resume(schedule.name, by=request.user.get_username())
        return to_page(schedule.name)

    def delete(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask (GET), or delete it (POST)."""
        schedule = self.find(request, name)
        if not rights.may_delete(request, schedule):
            raise PermissionDenied
        if request.method != "POST":
            return self.answer(
                request, "delete.html", title=f"Delete {schedule.name}?", schedule=schedule
            )
        with told(request, f"Schedule {schedule.name} is deleted; its runs and jobs are kept."):
            control.delete(schedule.name, by=request.user.get_username())
        return HttpResponseRedirect(reverse("admin:jobs_schedule_changelist"))

    def run(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show its params (GET), or run it now with them (POST)."""
        schedule = self.find(request, name)
        if not rights.may_run(request, schedule):
            raise PermissionDenied
        form = _params_form(request, schedule)
        errors: list[str] = []
        if request.method == "POST" and (form is None or form.is_valid()):
            answer = _run(request, schedule, form, errors)
            if answer is not None:
                return answer
        return self.answer(
            request,
            "run.html",
            title=f"Run {schedule.name} now",
            schedule=schedule,
            form=form,
            errors=errors,
        )

    def _changeable(self, request: HttpRequest, name: str) -> Schedule:
        schedule = self.find(request, name)
        if not permissions.may_change_schedules(request.user):
            raise PermissionDenied
        return schedule


def _params_form(request: HttpRequest, schedule: Schedule) -> ScheduleParamsForm | None:
    if schedule.steps is not None:
        return None  # its steps have their own params
    spec = registry.get(schedule.job_class)
    data = request.POST if request.method == "POST" else None
    return ScheduleParamsForm(spec, data, stored=schedule.params)


def _run(
    request: HttpRequest, schedule: Schedule, form: ScheduleParamsForm | None, errors: list[str]
) -> HttpResponse | None:
    """Make the run and go to its job; None, and the faults at their places, where that failed."""
    params: dict[str, Any] | None = None if form is None else form.cleaned_data["params"]
    try:
        run = control.run_now(schedule.name, by=request.user.get_username(), params=params)
    except InvalidParams as error:
        if form is not None:
            form.add_faults(error.faults)
        else:
            errors.append(str(error))
        return None
    except (DispatchError, ScheduleError) as error:
        errors.append(str(error))
        return None
    messages.success(request, f"Schedule {schedule.name} runs now.")
    may_see = run.job_id is not None and permissions.may_view(request.user)
    if may_see and run.job_id is not None:
        return HttpResponseRedirect(addresses.of_job(run.job_id))
    return to_page(schedule.name)
