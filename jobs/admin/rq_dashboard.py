"""The django-rq dashboard behind its permission; our jobs are moved by our verbs there too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from django_rq.settings import get_queues_list

from jobs import permissions
from jobs.admin import addresses, many, verbs
from jobs.admin.verbs import Verb
from jobs.broker import client, dashboard
from jobs.models import JobStatus
from jobs.models.job_status import job_ids
from jobs.statuses import Status

PERMISSION = "django_rq.admin"
_SCHEDULE_ENTRY = "schedule-"  # the scheduler's entry of a schedule
_REASON = "from the django-rq dashboard"

View = Callable[..., Any]
# Returns an answer, or None: then rq's own view goes on with what is left to it.
Handler = Callable[..., HttpResponse | None]


@admin.register(Dashboard)
class RqDashboardAdmin(QueueAdmin):
    """rq's own pages, every one of them refused to staff without the dashboard's permission."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the admin's index links to it."""
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Whether it may be looked at."""
        return request.user.has_perm(PERMISSION)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """As django-rq asks it, for its link."""
        return request.user.has_perm(PERMISSION)

    def get_urls(self) -> list[URLPattern]:
        """django-rq's pages, each guarded, its actions on our jobs ours."""
        patterns: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        for pattern in patterns:
            name = (pattern.name or "").removeprefix("django_rq_")
            view = _by_any_name(pattern.callback) if name == "worker_details" else pattern.callback
            pattern.callback = _guarded(view, _HANDLERS.get(name))
        return patterns


def _guarded(view: View, handler: Handler | None) -> View:
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = request.user
        # Who isn't staff goes on to django-rq's own refusal: the login page, or 401 for stats.json.
        if user.is_active and user.is_staff and not user.has_perm(PERMISSION):
            raise PermissionDenied
        try:
            if handler is not None and request.method == "POST" and _is_staff(request):
                answer = handler(request, *args, **kwargs)
                if answer is not None:
                    return answer
            return view(request, *args, **kwargs)
        except client.Unreachable:
            context = {**admin.site.each_context(request), "title": "Redis does not answer"}
            return render(request, "admin/jobs/redis_down.html", context, status=503)

    return guarded


def _by_any_name(view: View) -> View:
    """Let a worker's page be found by its name too: its own breadcrumb names it so."""

    @functools.wraps(view)
    def found(request: HttpRequest, *args: Any, key: str, **kwargs: Any) -> Any:
        worker_key = dashboard.worker_key(client.for_work(), key)
        if worker_key is None:
            raise Http404(f"No worker is registered as {key!r}.")
        return view(request, *args, key=worker_key, **kwargs)

    return found


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff


# --- Whose is it? ---


def _ours(entry_ids: Iterable[str]) -> list[UUID]:
    """Return the ids that are jobs of ours: a row of that id exists."""
    ours = JobStatus.objects.filter(id__in=job_ids(entry_ids))
    return list(ours.values_list("id", flat=True))


def _apply(request: HttpRequest, verb: Verb, job_ids: list[UUID]) -> None:
    if not permissions.may_change(request.user):
        # The dashboard's permission is not the one to retry and cancel jobs.
        raise PermissionDenied
    report = verbs.apply(verb, job_ids, by=request.user.get_username(), reason=_REASON)
    many.tell(request, report)
    many.log(request, report.moved, f"{verb.label} {_REASON}")


def _refuse_schedule(request: HttpRequest, back: str) -> HttpResponse:
    messages.error(
        request,
        "This entry is a schedule's, declared in settings.JOB_SCHEDULES: nothing was done. "
        "To change it, change the settings; to run its job now, use the admin's schedules.",
    )
    return HttpResponseRedirect(back)


# --- One entry ---


def _on_one(verb: Verb) -> Handler:
    def handle(
        request: HttpRequest,
        queue_index: int,
        job_id: str,
        **_: Any,
    ) -> HttpResponse | None:
        if job_id.startswith(_SCHEDULE_ENTRY):
            address = reverse("admin:django_rq_job_detail", args=[queue_index, job_id])
            return _refuse_schedule(request, address)
        ours = _ours([job_id])
        if not ours:
            return None
        _apply(request, verb, ours)
        return HttpResponseRedirect(addresses.of_job(ours[0]))

    return handle


# --- Many ---

_VERB_BY_ACTION = {"delete": verbs.CANCEL, "requeue": verbs.REQUEUE, "stop": verbs.CANCEL}


def _on_selected(request: HttpRequest, queue_index: int) -> HttpResponse | None:
    jobs_page = reverse("admin:django_rq_jobs", args=[queue_index])
    back = _safe(request, request.POST.get("next_url", ""), jobs_page)
    selected = request.POST.getlist("job_ids")
    verb = _VERB_BY_ACTION.get(request.POST.get("action", ""))
    if verb is None or not selected:
        return HttpResponseRedirect(back)
    if any(entry_id.startswith(_SCHEDULE_ENTRY) for entry_id in selected):
        return _refuse_schedule(request, back)
    ours = _ours(selected)
    if ours:
        _apply(request, verb, ours)
    plain = set(selected) - {str(job_id) for job_id in ours}
    if not plain:
        return HttpResponseRedirect(back)
    # What is left to rq is only what is rq's.
    left: QueryDict = request.POST.copy()
    left.setlist("job_ids", sorted(plain))
    left["next_url"] = back
    request.POST = left  # type: ignore[assignment]
    return None


def _safe(request: HttpRequest, address: str, otherwise: str) -> str:
    is_here = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if is_here else otherwise


def _on_empty(request: HttpRequest, queue_index: int) -> HttpResponse | None:
    """Cancel our queued jobs of the queue; rq then drops their entries and its own."""
    queue = _queue_name(queue_index)
    queued = list(
        JobStatus.objects.filter(status=Status.QUEUED, queue=queue)
        .order_by("due_at", "id")
        .values_list("id", flat=True)[: verbs.MAX_AT_ONCE + 1]
    )
    if queued:
        _apply(request, verbs.CANCEL, queued[: verbs.MAX_AT_ONCE])
    if len(queued) > verbs.MAX_AT_ONCE:
        messages.warning(
            request, f"{verbs.MAX_AT_ONCE:,} jobs at a time: empty the queue again for the rest."
        )
    return None


def _on_requeue_all(request: HttpRequest, queue_index: int) -> HttpResponse | None:
    """Retry our jobs among the failed entries; rq then requeues what is left there, its own."""
    entry_ids = dashboard.failed_ids(client.for_work(), _queue_name(queue_index))
    ours = _ours(entry_ids)
    if ours:
        _apply(request, verbs.RETRY, ours)
    return None


def _on_clear_failed(request: HttpRequest, queue_index: int) -> HttpResponse | None:
    """Say that the rows stay: rq drops what it shows of ended jobs, which loses nothing."""
    if _ours(dashboard.failed_ids(client.for_work(), _queue_name(queue_index))):
        messages.info(request, "Only this dashboard's entries go: failed jobs stay in the admin.")
    return None


def _queue_name(queue_index: int) -> str:
    try:
        return str(get_queues_list()[queue_index]["name"])
    except IndexError:
        raise Http404(f"There is no queue number {queue_index}.") from None


_HANDLERS: dict[str, Handler] = {
    "requeue_job": _on_one(verbs.REQUEUE),
    "enqueue_job": _on_one(verbs.REQUEUE),
    "delete_job": _on_one(verbs.CANCEL),
    "stop_job": _on_one(verbs.CANCEL),
    "actions": _on_selected,
    "clear": _on_empty,
    "requeue_all": _on_requeue_all,
    "delete_failed_jobs": _on_clear_failed,
}
