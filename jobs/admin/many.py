"""A verb on many jobs of the list: confirmed where it can't be taken back, reported in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs.admin import verbs
from jobs.admin.verbs import MAX_AT_ONCE, Report, Verb
from jobs.models import JobStatus

if TYPE_CHECKING:
    from jobs.admin.read_only import ReadOnlyAdmin

_LOGGED = 1_000  # jobs of one click that get a line in the admin's history


def act(
    model_admin: ReadOnlyAdmin, request: HttpRequest, jobs: QuerySet[JobStatus], verb: Verb
) -> HttpResponse | None:
    """Do `verb` to the selected jobs, or to all matching ones, after a page that asks for it."""
    is_across = request.POST.get("select_across") == "1"
    if is_across:
        # Of all that match only those the verb is for: a list of everything may be endless.
        jobs = jobs.filter(status__in=verb.sources)
    ids = list(jobs.values_list("id", flat=True)[: MAX_AT_ONCE + 1])
    is_cut = len(ids) > MAX_AT_ONCE
    ids = ids[:MAX_AT_ONCE]
    if (verb.is_dangerous or is_across) and "confirmed" not in request.POST:
        return _ask(model_admin, request, verb, ids, is_cut=is_cut)
    report = verbs.apply(
        verb, ids, by=request.user.get_username(), reason=request.POST.get("reason", "")
    )
    tell(request, report)
    if is_cut:
        messages.warning(request, f"{MAX_AT_ONCE:,} jobs at a time: do it again for the rest.")
    log(request, report.moved, verb.label)
    return None


def tell(request: HttpRequest, report: Report) -> None:
    """Show what became of the jobs."""
    level = messages.WARNING if report.has_refusals else messages.SUCCESS
    messages.add_message(request, level, " ".join(report.sentences))


def log(request: HttpRequest, job_ids: Sequence[UUID], words: str) -> None:
    """Write who did what into the admin's own history."""
    jobs = JobStatus.objects.filter(id__in=job_ids[:_LOGGED]).only("id", "job_class")
    if user_id := request.user.pk:
        LogEntry.objects.log_actions(user_id, jobs, CHANGE, words)


def _ask(
    model_admin: ReadOnlyAdmin, request: HttpRequest, verb: Verb, ids: list[UUID], *, is_cut: bool
) -> HttpResponse:
    return TemplateResponse(
        request,
        "admin/jobs/jobstatus/confirm_many.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": f"{verb.label}: are you sure?",
            "opts": model_admin.opts,
            "verb": verb,
            "count": len(ids),
            "is_cut": is_cut,
            "action": request.POST["action"],
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
        },
    )
