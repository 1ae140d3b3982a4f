"""The "Run a job" pages: pick a class, fill in its params, end on the new job's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from jobs import conf, permissions, registry
from jobs.admin import addresses, many, render
from jobs.admin.run_form import RunForm
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import DispatchError, InvalidParams, UnknownQueue
from jobs.models import JobStatus, Schedule
from jobs.spec import JobSpec

if TYPE_CHECKING:
    from jobs.admin.read_only import ReadOnlyAdmin


class RunViews:
    """The views; each checks the right for itself."""

    def __init__(self, model_admin: ReadOnlyAdmin) -> None:
        self.model_admin = model_admin

    def pick(self, request: HttpRequest) -> HttpResponse:
        """List the classes that this person may run."""
        specs = permissions.runnable(request.user)
        if not specs:
            raise PermissionDenied
        queue = conf.current().queue
        classes = [(spec, _first_line(spec.description), spec.queue or queue) for spec in specs]
        return self._page(request, "run_pick.html", title="Run a job", classes=classes)

    def run(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show the class's form (GET), or dispatch a job (POST)."""
        spec = registry.find(name)
        if spec is None or not permissions.may_run(request.user, name):
            # One answer for both: a page that one may not have tells nothing more.
            raise PermissionDenied
        if request.method != "POST":
            form = RunForm(spec, given=_given(request, spec))
            return self._form(request, spec, form)
        form = RunForm(spec, request.POST)
        job = _dispatched(request, spec, form) if form.is_valid() else None
        if job is None:
            return self._form(request, spec, form)
        messages.success(request, f"{spec.name} was dispatched to queue {job.queue}.")
        many.log(request, [job.id], "Run from the admin")
        return HttpResponseRedirect(addresses.of_job(job.id))

    def _form(self, request: HttpRequest, spec: JobSpec, form: RunForm) -> HttpResponse:
        return self._page(
            request,
            "run_form.html",
            title=f"Run {spec.name}",
            spec=spec,
            form=form,
            fields=[(field, field.field.widget.attrs.get("data-required")) for field in form],
            max_attempts=spec.max_attempts or conf.current().max_attempts,
            timeout=render.duration(spec.timeout or conf.current().timeout),
        )

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        shared = self.model_admin.admin_site.each_context(request)
        opts = {"opts": self.model_admin.opts}
        return TemplateResponse(
            request, f"admin/jobs/jobstatus/{template}", {**shared, **opts, **context}
        )


def _dispatched(request: HttpRequest, spec: JobSpec, form: RunForm) -> JobStatus | None:
    wish = Request(
        spec=spec,
        params=form.cleaned_data["params"],
        queue=form.cleaned_data["queue"] or None,
        run_at=form.cleaned_data["run_at"],
        tags=form.cleaned_data["tags"],
        created_by_id=request.user.pk,
    )
    try:
        return create.dispatch_one(wish)
    except InvalidParams as error:
        form.add_faults(error.faults)
    except UnknownQueue as error:
        form.add_error("queue", str(error))
    except DispatchError as error:
        form.add_error(None, str(error))
    return None


def _given(request: HttpRequest, spec: JobSpec) -> Mapping[str, Any]:
    """Return params to begin with: those of an earlier job, or of a schedule, without secrets."""
    if text := request.GET.get("job", ""):
        try:
            job = JobStatus.objects.filter(id=UUID(text), job_class=spec.name).first()
        except ValueError:
            raise Http404(f"{text!r} is no job's id.") from None
        if job and (permissions.may_view(request.user) or job.created_by_id == request.user.pk):
            return registry.shown_params(job.job_class, job.params)
    if name := request.GET.get("schedule", "").replace("\x00", ""):
        schedule = Schedule.objects.filter(name=name, job_class=spec.name).first()
        if schedule and request.user.has_perm("jobs.view_schedule"):
            return spec.params.redacted(schedule.params)
    return {}


def _first_line(text: str) -> str:
    return text.split("\n\n", 1)[0].replace("\n", " ")
