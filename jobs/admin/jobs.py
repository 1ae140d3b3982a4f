"""The job list: what every job is doing, and the verbs for many of them at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs import permissions
from jobs.admin import addresses, job_list, job_page, many, render, run_page, tabs, verbs
from jobs.admin.filters import (
    AfterFilter,
    CreatedFilter,
    JobClassFilter,
    QueueFilter,
    ScheduleFilter,
    TagFilter,
)
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.models import JobStatus, clock
from jobs.statuses import Status

_ERROR_CHARACTERS = 140


@admin.register(JobStatus)
class JobAdmin(ReadOnlyAdmin):
    """Jobs: browse, filter, search, run, retry, run again, cancel. Nothing is edited."""

    list_display = (
        "status_badge", "job", "queue_name", "attempts", "created", "timing", "worker_name",
    )  # fmt: skip
    list_display_links = None  # the job column links itself: beside the link stand its details
    list_filter = (
        JobClassFilter, QueueFilter, TagFilter, ScheduleFilter,
        ("created_at", CreatedFilter), AfterFilter,
    )  # fmt: skip
    list_select_related = ("worker",)
    list_per_page = 50
    sortable_by = ()  # newest first, by its index; any other order would sort the whole table
    ordering = ("-created_at", "-id")
    search_fields = ("id",)
    search_help_text = "Job id (or its beginning), job class, words of the error, or tag:<a tag>"
    actions = ("retry_selected", "run_selected_again", "cancel_selected")
    change_list_template = "admin/jobs/jobstatus/change_list.html"

    # --- Rights ---

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the verbs are offered."""
        return permissions.may_change(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Who may view jobs, and whoever made this one."""
        if permissions.may_view(request.user):
            return True
        return isinstance(obj, JobStatus) and obj.created_by_id == request.user.pk

    # --- The list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobStatus]:
        """The jobs without their large columns, each with the database's time."""
        jobs: QuerySet[JobStatus] = super().get_queryset(request)
        return jobs.defer("params", "result").annotate(db_now=RawSQL(clock.NOW, ()))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[job_list.JobList]:  # noqa: ARG002
        """The list that looks only so far."""
        return job_list.JobList

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[JobStatus],
        search_term: str,
    ) -> tuple[QuerySet[JobStatus], bool]:
        """An id or its beginning, a tag, or words of the class or the error."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if job_list.is_id(term):
            return queryset.filter(id__range=_id_range(term.replace("-", ""))), False
        if term.startswith(job_list.TAG):
            return queryset.filter(tags__contains=[term.removeprefix(job_list.TAG)]), False
        for word in term.split():
            queryset = queryset.filter(Q(job_class__icontains=word) | Q(error__icontains=word))
        return queryset, False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list with a tab for each status."""
        return super().changelist_view(
            request,
            {
                "tabs": tabs.tabs(request) if self.has_view_permission(request) else [],
                "can_run": bool(permissions.runnable(request.user)),
                "selection_note_all": "All matching jobs selected",
                **(extra_context or {}),
            },
        )

    @admin.display(description="status")
    def status_badge(self, job: JobStatus) -> SafeString:
        """The status in colour, and whether a cancel was asked for."""
        if job.cancel_requested_at and not job.is_terminal:
            return format_html('{} <span class="quiet">cancelling</span>', render.badge(job.status))
        return render.badge(job.status)

    @admin.display(description="job")
    def job(self, job: JobStatus) -> SafeString:
        """The job class, a link to the job's page; its tags; how far or how wrong it is."""
        return format_html(
            '<a class="job-link" href="{}">{}</a> {}{}',
            addresses.of_job(job.id),
            job.job_class,
            render.tags(job.tags),
            self._details(job),
        )

    @admin.display(description="queue")
    def queue_name(self, job: JobStatus) -> str:
        """The queue."""
        return job.queue

    @admin.display(description="attempt")
    def attempts(self, job: JobStatus) -> str:
        """Attempts begun, of how many."""
        return f"{job.attempt}/{job.max_attempts}"

    @admin.display(description="created")
    def created(self, job: JobStatus) -> SafeString:
        """How long ago it was made."""
        return render.moment_ago(job.created_at, job.db_now)  # type: ignore[attr-defined]

    @admin.display(description="time")
    def timing(self, job: JobStatus) -> str:
        """How long it waits, runs or ran, or when it is due."""
        now = job.db_now  # type: ignore[attr-defined]
        match job.status:
            case Status.SCHEDULED | Status.RETRYING:
                return f"due {render.relative(job.due_at, now)}"
            case Status.QUEUED | Status.WAITING:
                return f"waits {render.duration(now - job.due_at)}"
            case Status.STARTED if job.started_at:
                return f"runs {render.duration(now - job.started_at)}"
        if job.started_at and job.finished_at:
            return f"ran {render.duration(job.finished_at - job.started_at)}"
        return render.DASH

    @admin.display(description="worker")
    def worker_name(self, job: JobStatus) -> str:
        """Who started it last."""
        return job.worker.name if job.worker else render.DASH

    def _details(self, job: JobStatus) -> SafeString:
        line = '<div class="job-line {}">{}</div>'
        if job.status == Status.STARTED and job.progress:
            return format_html(line, "", render.progress(job.progress))
        if job.error:
            return format_html(line, "job-error", Truncator(job.error).chars(_ERROR_CHARACTERS))
        if job.held_by:
            return format_html(line, "quiet", f"held by {job.held_by}")
        return render.NOTHING

    # --- Many at once ---

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[JobStatus], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Do the action that was picked; a selection of what can't be an id is a bad request."""
        try:
            return super().response_action(request, queryset, *args, **kwargs)
        except ValidationError as error:
            raise BadRequest("A selected job's id is no id.") from error

    @admin.action(description="Retry (failed and cancelled ones)", permissions=["operate"])
    def retry_selected(
        self, request: HttpRequest, jobs: QuerySet[JobStatus]
    ) -> HttpResponse | None:
        """Give failed and cancelled jobs another attempt."""
        return many.act(self, request, jobs, verbs.RETRY)

    @admin.action(description="Run again (completed ones)", permissions=["operate"])
    def run_selected_again(
        self, request: HttpRequest, jobs: QuerySet[JobStatus]
    ) -> HttpResponse | None:
        """Run completed jobs once more."""
        return many.act(self, request, jobs, verbs.RUN_AGAIN)

    @admin.action(description="Cancel ...", permissions=["operate"])
    def cancel_selected(
        self, request: HttpRequest, jobs: QuerySet[JobStatus]
    ) -> HttpResponse | None:
        """Stop jobs on purpose."""
        return many.act(self, request, jobs, verbs.CANCEL)

    # --- One job ---

    def get_urls(self) -> list[URLPattern]:
        """The pages beside the list."""
        wrap = self.admin_site.admin_view
        views = run_page.RunViews(self)
        page = job_page.JobViews(self)
        return [
            path("run/", wrap(views.pick), name="jobs_jobstatus_run"),
            path("run/<str:name>/", wrap(views.run), name="jobs_jobstatus_run_class"),
            path("<uuid:job_id>/live/", wrap(page.live), name="jobs_jobstatus_live"),
            path(
                "<uuid:job_id>/rejected-rows.csv",
                wrap(page.rejected_rows),
                name="jobs_jobstatus_rejected_rows",
            ),
            path("<uuid:job_id>/do/<str:name>/", wrap(page.do), name="jobs_jobstatus_do"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """One job's page, in place of a form."""
        return job_page.JobViews(self).page(request, object_id)


def _id_range(digits: str) -> tuple[UUID, UUID]:
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
