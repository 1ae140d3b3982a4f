"""One job's page: its whole story, alive while the job lives, and the verbs for it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import permissions, registry
from jobs.admin import addresses, graph, many, render, timeline, verbs
from jobs.insights import branch, explain, rows
from jobs.models import JobAttempt, JobStatus, clock
from jobs.statuses import Status

if TYPE_CHECKING:
    from jobs.admin.read_only import ReadOnlyAdmin

MAX_ATTEMPTS = 50  # shown; the API has all of them
_LIVE = "admin/jobs/jobstatus/job_live.html"


class JobViews:
    """The views of one job; each checks the right for itself."""

    def __init__(self, model_admin: ReadOnlyAdmin) -> None:
        self.model_admin = model_admin

    def page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the whole job."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied  # nothing about a row is edited
        job = self._job(request, _uuid(unquote(object_id)))
        context = {
            **self.model_admin.admin_site.each_context(request),
            "title": job.job_class,
            "opts": self.model_admin.opts,
            **self._story(request, job),
        }
        return TemplateResponse(request, "admin/jobs/jobstatus/job_page.html", context)

    def live(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Return the part of the page that changes, and whether it will change again."""
        job = self._job(request, job_id)
        story = self._story(request, job)
        html = render_to_string(_LIVE, story, request=request)
        response = JsonResponse({"is_living": story["is_living"], "html": html})
        add_never_cache_headers(response)
        return response

    def rejected_rows(self, request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        """Return the rows that an import rejected, as CSV that spreadsheets read."""
        job = self._job(request, job_id)
        # The mark tells a spreadsheet that this is UTF-8.
        pieces = itertools.chain(["\N{ZERO WIDTH NO-BREAK SPACE}"], rows.rejected_csv(job.id))
        response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="rejected-{job.id}.csv"'
        add_never_cache_headers(response)
        return response

    def do(self, request: HttpRequest, job_id: UUID, name: str) -> HttpResponse:
        """Ask whether to do a verb (GET), or do it (POST)."""
        if not permissions.may_change(request.user):
            raise PermissionDenied
        job = self._job(request, job_id)
        if (verb := verbs.BY_NAME.get(name)) is None:
            raise Http404(f"There is no verb {name!r}.")
        if request.method != "POST":
            return self._ask(request, job, verb)
        reason = request.POST.get("reason", "")
        report = verbs.apply(verb, [job.id], by=request.user.get_username(), reason=reason)
        many.tell(request, report)
        many.log(request, report.moved, verb.label)
        return HttpResponseRedirect(addresses.of_job(job.id))

    def _ask(self, request: HttpRequest, job: JobStatus, verb: verbs.Verb) -> HttpResponse:
        context = {
            **self.model_admin.admin_site.each_context(request),
            "title": f"{verb.label} this job?",
            "opts": self.model_admin.opts,
            "job": job,
            "badge": render.badge(job.status),
            "verb": verb,
            "fits": verb.fits(job),
        }
        return TemplateResponse(request, "admin/jobs/jobstatus/confirm.html", context)

    def _job(self, request: HttpRequest, job_id: UUID) -> JobStatus:
        job = JobStatus.objects.select_related("worker", "created_by").filter(id=job_id).first()
        if not self.model_admin.has_view_permission(request, job):
            raise PermissionDenied
        if job is None:
            raise Http404(f"There is no job {job_id}.")
        return job

    def _story(self, request: HttpRequest, job: JobStatus) -> dict[str, Any]:
        attempts = list(JobAttempt.objects.filter(job=job).order_by("-claim")[:MAX_ATTEMPTS])
        may_change = permissions.may_change(request.user)
        fitting = [verb for verb in verbs.BY_NAME.values() if verb.fits(job)] if may_change else []
        may_copy = permissions.may_run(request.user, job.job_class) and registry.find(job.job_class)
        now = clock.read()
        around = branch.around(job.id)
        return {
            "job": job,
            "is_living": not job.is_terminal or (around is not None and around.is_living),
            "workflow": None if around is None else graph.drawing(around, job.id),
            "badge": render.badge(job.status),
            "sentences": explain.explain(job),
            # Where it failed, its progress says how far it came; of a completed job nobody asks.
            "progress": "" if job.status == Status.COMPLETED else render.progress(job.progress),
            "verbs": fitting,
            "may_copy": bool(may_copy),
            "facts": _facts(job, now),
            "tags": render.tags(job.tags),
            "rows": _rows(job),
            "events": [
                (event, render.moment(event.at), render.relative(event.at, now))
                for event in timeline.events(job, attempts[::-1])
            ],
            "attempts": [_shown(attempt, job) for attempt in attempts],
            "attempts_cut": len(attempts) == MAX_ATTEMPTS,
            "params": render.tree(registry.shown_params(job.job_class, job.params)),
            "result": render.tree(job.result) if job.result is not None else "",
        }


def _rows(job: JobStatus) -> dict[str, Any] | None:
    found = rows.rows_of(job.id)
    if found is None:
        return None
    has_rows = bool(found.rows_in or found.kept)
    # Of a completed job nobody asks where it would go on.
    position = None if job.status == Status.COMPLETED else found.position
    counts = (("In", found.rows_in), ("Out", found.rows_out), ("Rejected", found.rows_rejected))
    return {
        "counts": [(label, f"{count:,}") for label, count in counts] if has_rows else [],
        "kept": found.kept,
        "is_cut": found.kept < found.rows_rejected,
        "position": "" if position is None else render.tree(position),
    }


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404(f"{text!r} is no job's id.") from None


def _facts(job: JobStatus, now: Any) -> list[tuple[str, Any]]:
    ended = job.finished_at or now
    facts: list[tuple[str, Any]] = [
        ("Queue", job.queue),
        ("Attempt", f"{job.attempt} of {job.max_attempts}"),
        ("Worker", job.worker.name if job.worker else render.DASH),
        ("Created", render.moment(job.created_at)),
        ("Due", render.moment(job.due_at)),
        ("Started", render.moment(job.started_at)),
        ("Ended", render.moment(job.finished_at)),
    ]
    if job.started_at and (job.finished_at or job.status == Status.STARTED):
        label = "Ran for" if job.finished_at else "Runs for"
        facts.append((label, render.duration(ended - job.started_at)))
    if job.schedule:
        facts.append(("Schedule", _schedule(job)))
    facts += [(label, value) for label, value in _rare(job) if value]
    return facts


def _schedule(job: JobStatus) -> SafeString:
    return format_html(
        '<a href="{}">{}</a>, for {}',
        addresses.of_schedule(job.schedule),
        job.schedule,
        render.moment(job.logical_time),
    )


def _rare(job: JobStatus) -> list[tuple[str, Any]]:
    return [
        ("Created by", job.created_by.get_username() if job.created_by else ""),
        ("Workers lost", job.losses),
        ("Interrupted", job.interruptions),
        ("Unique key", job.unique_key),
    ]


def _shown(attempt: JobAttempt, job: JobStatus) -> dict[str, Any]:
    error = f"{attempt.error_class}: {attempt.message}" if attempt.error_class else attempt.message
    return {
        "number": attempt.number,
        "claim": attempt.claim,
        "badge": render.badge(attempt.outcome),
        "worker": attempt.worker_name or render.DASH,
        "started": render.moment(attempt.started_at),
        "length": render.duration(attempt.ended_at - attempt.started_at),
        "memory": render.size(attempt.peak_memory) if attempt.peak_memory else render.DASH,
        "wait": render.duration(attempt.due_at - attempt.ended_at) if attempt.due_at else "",
        "error": error,
        "traceback": attempt.traceback,
        # The job's own result stands above; here are those that later runs replaced.
        "result": render.tree(attempt.result) if attempt.result not in (None, job.result) else "",
    }
