"""Schedules made and changed in the admin: the form, what it would mean, and saving it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from jobs import permissions, registry
from jobs.admin import render
from jobs.admin.schedules import rights, times
from jobs.admin.schedules.base import ScheduleView, to_page
from jobs.admin.schedules.form import WORKFLOW, ScheduleForm, entry_of_texts, zones
from jobs.admin.schedules.params import NAMES, ScheduleParamsForm
from jobs.errors import Fault, InvalidSchedule, ScheduleChanged, ScheduleError
from jobs.insights.schedules.moments import zone_of
from jobs.insights.schedules.preview import Preview, preview
from jobs.models import Schedule, clock
from jobs.schedules import control, fitting
from jobs.schedules.moments.cron import Rule
from jobs.spec import JobSpec

_PARAMS = "admin/jobs/schedule/panels/params_fields.html"
_PREVIEW = "admin/jobs/schedule/panels/preview.html"
_SOME_RULE = Rule(crons=("0 0 * * *",))  # that names in braces stand for its moments
_CHOOSE = "choose"  # the button that only changes the job class, where no script does


class EditViews(ScheduleView):
    """The views of the form; each checks the right for itself."""

    def add(self, request: HttpRequest) -> HttpResponse:
        """Show an empty form, or make a schedule."""
        if not permissions.may_change_schedules(request.user):
            raise PermissionDenied
        return self._edit(request, None)

    def change(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show a schedule's form, or change the schedule."""
        schedule = self.find(request, name)
        if not rights.may_edit(request, schedule):
            raise PermissionDenied
        return self._edit(request, schedule)

    def params(self, request: HttpRequest) -> HttpResponse:
        """Return the fields for the params of another job class."""
        _check_may_write(request)
        spec = _runnable(request, request.GET.get("job", ""))
        name = request.GET.get("schedule", "").replace("\x00", "")
        schedule = Schedule.objects.filter(name=name).first() if name else None
        if schedule is not None and not rights.may_edit(request, schedule):
            raise PermissionDenied
        context: dict[str, Any] = {
            "params": _params_form(spec, None, schedule),
            "spec": spec,
            "names": NAMES,
        }
        if spec is None:
            context["form"] = ScheduleForm(schedule, [])
        return HttpResponse(render_to_string(_PARAMS, context, request=request))

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Return the next moments of what is typed, and what is wrong with it (POST)."""
        _check_may_write(request)
        if request.method != "POST":
            raise PermissionDenied
        entry = entry_of_texts(request.POST, None)
        now = clock.read()
        found = preview(entry, now=now)
        html = render_to_string(_PREVIEW, {"preview": _told(found, now)}, request=request)
        faults = {flaw.key: f"{flaw.message}." for flaw in reversed(found.flaws)}
        return JsonResponse({"html": html, "faults": faults})

    def _edit(self, request: HttpRequest, schedule: Schedule | None) -> HttpResponse:
        data = request.POST if request.method == "POST" else None
        is_saving = data is not None and _CHOOSE not in data
        classes = [spec.name for spec in permissions.runnable(request.user)]
        form = ScheduleForm(schedule, classes, data, initial=_asked(request, classes))
        spec = _runnable(request, form["job"].value() or "")
        params = _params_form(spec, data if is_saving else None, schedule)
        if is_saving:
            answer = _saved(request, form, params)
            if answer is not None:
                return answer
        elif data is not None:
            form.errors.clear()  # only another class was chosen
        now = clock.read()
        words = {key: form[key].value() for key in form.fields}
        found = preview(entry_of_texts(words, schedule), now=now)
        return self.answer(
            request,
            "edit.html",
            title=f"Edit {schedule.name}" if schedule else "Add a schedule",
            schedule=schedule,
            form=form,
            spec=spec,
            params=params,
            names=NAMES,
            preview=_told(found, now),
            zones=zones(),
        )


def _check_may_write(request: HttpRequest) -> None:
    if not permissions.may_change_schedules(request.user):
        raise PermissionDenied


def _asked(request: HttpRequest, classes: list[str]) -> dict[str, Any]:
    """Return what an address fills in beforehand: the job class, where it can be chosen."""
    job = request.GET.get("job")
    return {"job": job} if job in {WORKFLOW, *classes} else {}


def _runnable(request: HttpRequest, job: str) -> JobSpec | None:
    """Return the job class that is chosen; None for a workflow, and for what one may not run."""
    if job == WORKFLOW or not permissions.may_run(request.user, job):
        return None
    return registry.find(job)


def _params_form(
    spec: JobSpec | None, data: Any, schedule: Schedule | None
) -> ScheduleParamsForm | None:
    if spec is None:
        return None
    has_same = schedule is not None and schedule.job_class == spec.name
    stored = schedule.params if schedule is not None and has_same else None
    return ScheduleParamsForm(spec, data, stored=stored)


def _saved(
    request: HttpRequest, form: ScheduleForm, params: ScheduleParamsForm | None
) -> HttpResponse | None:
    """Save what is written and go to its page; None, with the faults in place, if it can't."""
    # Both are asked, so that all faults are seen at once.
    if not all([form.is_valid(), params is None or params.is_valid()]):
        return None
    entry = form.entry(params.cleaned_data["params"] if params else None)
    if not _may_run_all(request, entry, form):
        return None
    by, note = request.user.get_username(), form.cleaned_data["note"]
    try:
        if form.schedule is None:
            schedule = control.create(form.cleaned_data["name"], entry, by=by, note=note)
        else:
            seen = form.cleaned_data["seen"]
            schedule = control.change(form.schedule.name, entry, by=by, note=note, seen=seen)
    except ScheduleError as error:
        _show(error, form, params, entry)
        return None
    messages.success(request, f"Schedule {schedule.name} is saved.")
    return to_page(schedule.name)


def _may_run_all(request: HttpRequest, entry: dict[str, Any], form: ScheduleForm) -> bool:
    steps = entry["steps"] or {}
    classes = {step.get("job") for step in steps.values() if isinstance(step, dict)}
    refused = [job for job in classes if not permissions.may_run(request.user, str(job))]
    if refused:
        form.add_error("steps", f"You may not run {', '.join(sorted(map(str, refused)))}.")
    return not refused


def _show(
    error: ScheduleError,
    form: ScheduleForm,
    params: ScheduleParamsForm | None,
    entry: dict[str, Any],
) -> None:
    match error:
        case InvalidSchedule():
            _add_faults(form, params, entry, error.faults)
        case ScheduleChanged():
            form.add_overtaken(error)
        case _:
            form.add_error("name" if form.schedule is None else None, str(error))


def _add_faults(
    form: ScheduleForm,
    params: ScheduleParamsForm | None,
    entry: dict[str, Any],
    faults: list[Fault],
) -> None:
    """Show the faults; those of the params at the params' own fields, as the class tells them."""
    if params is not None and any(fault["param"] == "params" for fault in faults):
        told = fitting.faults_of_params(params.spec, entry["params"] or {}, _SOME_RULE)
        params.add_faults(told)
        if told:
            faults = [fault for fault in faults if fault["param"] != "params"]
    form.add_faults(faults)


def _told(found: Preview, now: Any) -> dict[str, Any]:
    zone = zone_of(Schedule(timezone=found.timezone))
    return {
        "words": found.words,
        "timezone": found.timezone,
        "flaws": [flaw.sentence for flaw in found.flaws],
        "moments": [(times.clock_time(at, zone), render.relative(at, now)) for at in found.moments],
    }
