"""The list of schedules, and the ways to each one's pages; and the list of their runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import permissions
from jobs.admin import addresses, render
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.admin.schedules import cells, facts, times
from jobs.admin.schedules.backfill import BackfillViews
from jobs.admin.schedules.edit import EditViews
from jobs.admin.schedules.filters import LastRunFilter, SourceFilter, StateFilter
from jobs.admin.schedules.history import HistoryView
from jobs.admin.schedules.list import ScheduleList
from jobs.admin.schedules.page import PageView
from jobs.admin.schedules.verbs import VerbViews
from jobs.insights.schedules.moments import zone_of
from jobs.insights.schedules.words import in_words
from jobs.models import JobStatus, Schedule, ScheduleRun, clock


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """What runs when, and how its last runs went."""

    list_display = ("schedule", "when", "queue_name", "next_run", "last_run", "strip")
    list_display_links = None  # the first column links itself
    list_filter = (StateFilter, LastRunFilter, SourceFilter)
    list_per_page = 50
    search_fields = ("name", "job_class")
    search_help_text = "Name or job class"
    ordering = ("name",)
    list_title = "Schedules"

    class Media:
        css = {"all": ["jobs/schedules.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may make schedules of some job class."""
        may_add = permissions.may_change_schedules(request.user)
        return may_add and bool(permissions.runnable(request.user))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """The schedules, each with the database's time."""
        schedules: QuerySet[Schedule] = super().get_queryset(request)
        return schedules.annotate(db_now=RawSQL(clock.NOW, ()))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ScheduleList]:  # noqa: ARG002
        """The list that brings each schedule's last runs with it."""
        return ScheduleList

    @admin.display(description="schedule")
    def schedule(self, schedule: Any) -> SafeString:
        """The name, a link to its page; the job class; whether it rests, and why."""
        return format_html(
            '<a class="job-link" href="{}">{}</a> {}<div class="job-line quiet">{}</div>{}',
            addresses.of_schedule(schedule.name),
            schedule.name,
            facts.state_badge(schedule),
            facts.what_runs(schedule),
            facts.pause_line(schedule, schedule.db_now),
        )

    @admin.display(description="when")
    def when(self, schedule: Schedule) -> SafeString:
        """The rule in words, and whose clock it reads."""
        return format_html(
            '{}<div class="job-line quiet">{}</div>',
            in_words(schedule.crons, schedule.every),
            schedule.timezone,
        )

    @admin.display(description="queue")
    def queue_name(self, schedule: Schedule) -> str:
        """The queue; where it names none, the job class's own."""
        return facts.queue_of(schedule)

    @admin.display(description="next run")
    def next_run(self, schedule: Any) -> SafeString:
        """Its next moment."""
        if not schedule.enabled or schedule.next_at is None:
            return render.DASH
        zone = zone_of(schedule)
        return times.moment(schedule.next_at, zone, schedule.db_now)

    @admin.display(description="last run")
    def last_run(self, schedule: Any) -> SafeString:
        """Its newest run and what became of it."""
        if not schedule.last_runs:
            return render.DASH
        run, zone = schedule.last_runs[-1], zone_of(schedule)
        return format_html(
            '<span title="{}">{}<span class="job-line quiet">{}</span></span>',
            cells.title(run, zone, schedule.db_now),
            cells.link(run, schedule.run_links),
            render.relative(run.logical_time, schedule.db_now),
        )

    @admin.display(description="last 30 runs")
    def strip(self, schedule: Any) -> SafeString:
        """Its newest runs as bars."""
        zone = zone_of(schedule)
        return cells.strip(schedule.last_runs, zone, schedule.db_now, schedule.run_links)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """One schedule's page, in place of Django's form."""
        return PageView(self).page(request, object_id)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """The form of a new schedule."""
        return EditViews(self).add(request)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Ask, and delete it."""
        return VerbViews(self).delete(request, unquote(object_id))

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Who changed what, also of a schedule that is gone."""
        return HistoryView(self).page(request, unquote(object_id))

    def get_urls(self) -> list[URLPattern]:
        """The pages beside the list and the schedules' own."""
        edit = EditViews(self)
        verbs = VerbViews(self)
        fill = BackfillViews(self)
        views: list[tuple[str, str, Any]] = [
            ("preview/", "preview", edit.preview),
            ("params/", "params", edit.params),
            ("<str:name>/edit/", "edit", edit.change),
            ("<str:name>/pause/", "pause", verbs.pause),
            ("<str:name>/resume/", "resume", verbs.resume),
            ("<str:name>/run/", "run", verbs.run),
            ("<str:name>/backfill/", "backfill", fill.start),
            ("<str:name>/backfill/<int:backfill_id>/<str:verb>/", "backfill_steer", fill.steer),
        ]
        wrap = self.admin_site.admin_view
        return [
            *(path(way, wrap(view), name=f"jobs_schedule_{name}") for way, name, view in views),
            *super().get_urls(),
        ]


@admin.register(ScheduleRun)
class ScheduleRunAdmin(ReadOnlyAdmin):
    """Every moment that was handled, newest first."""

    list_display = ("schedule_link", "tick", "handled", "kind", "made", "reason")
    list_display_links = None
    list_select_related = ("job",)
    search_fields = ("schedule_name",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduleRun]:
        """Runs without their jobs' large columns."""
        runs: QuerySet[ScheduleRun] = super().get_queryset(request)
        return runs.defer("job__params", "job__result")

    @admin.display(description="schedule")
    def schedule_link(self, run: ScheduleRun) -> SafeString:
        """The schedule's name, a link to the run."""
        address = reverse("admin:jobs_schedulerun_change", args=[run.pk])
        return format_html('<a class="job-link" href="{}">{}</a>', address, run.schedule_name)

    @admin.display(description="for")
    def tick(self, run: ScheduleRun) -> SafeString:
        """The moment it stands for."""
        return render.moment(run.logical_time)

    @admin.display(description="handled")
    def handled(self, run: ScheduleRun) -> SafeString:
        """When it was made."""
        return render.moment(run.created_at)

    @admin.display(description="job")
    def made(self, run: ScheduleRun) -> SafeString:
        """The job it made, or why it made none; what a pruned job ended as is kept."""
        job: JobStatus | None = run.job
        if job is None:
            return render.badge(run.kept_status or run.outcome)
        address = addresses.of_job(job.id)
        return format_html('<a href="{}">{}</a>', address, render.badge(job.status))
