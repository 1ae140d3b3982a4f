"""Schedules and their runs, to look at: they are declared in settings.JOB_SCHEDULES."""

from __future__ import annotations

from typing import Any

import cron_descriptor
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import permissions, registry
from jobs.admin import job_page, render
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.models import JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import cron
from jobs.schedules.rules import rule_of

_NEXT_RUNS = 5
_LAST_RUNS = 20
_WORDS = cron_descriptor.Options()
_WORDS.use_24hour_time_format = True


def in_words(schedule: Schedule) -> str:
    """Return when a schedule is due, in words: "At 01:00, Monday through Friday"."""
    if schedule.every is not None:
        return f"Every {render.duration(schedule.every)}"
    try:
        return str(cron_descriptor.get_description(schedule.crons[0], _WORDS))
    except (
        cron_descriptor.FormatException,
        cron_descriptor.MissingFieldException,
        cron_descriptor.WrongArgumentException,
    ):
        return schedule.crons[0]  # cronsim takes more than the describer has words for


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """What runs when, and how its last run went."""

    list_display = (
        "name",
        "job",
        "when",
        "timezone",
        "queue",
        "next_run",
        "last_run",
        "is_enabled",
    )
    fields = (
        "name", "job", "when", "timezone", "queue", "is_enabled", "params_tree",
        "next_runs", "last_runs", "run_now", "synced",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("name",)
    list_title = "Schedules, as settings.JOB_SCHEDULES declares them"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Schedules with their newest run, and the database's time."""
        newest = ScheduleRun.objects.filter(schedule_name=OuterRef("name")).order_by(
            "-logical_time"
        )
        schedules: QuerySet[Schedule] = super().get_queryset(request)
        return schedules.annotate(
            db_now=RawSQL(clock.NOW, ()),
            run_time=Subquery(newest.values("logical_time")[:1]),
            run_outcome=Subquery(newest.values("outcome")[:1]),
            run_job=Subquery(newest.values("job_id")[:1]),
            run_status=Subquery(newest.values("job__status")[:1]),
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Schedule | None:
        """Remember on the row whether this person may run its job."""
        schedule: Schedule | None = super().get_object(request, object_id, from_field)
        if schedule is not None:
            may_run = permissions.may_run(request.user, schedule.job_class)
            vars(schedule)["may_run"] = may_run and registry.find(schedule.job_class) is not None
        return schedule

    @admin.display(description="job")
    def job(self, schedule: Schedule) -> str:
        """The job class."""
        return schedule.job_class

    @admin.display(description="when")
    def when(self, schedule: Schedule) -> str:
        """The rule in words."""
        return in_words(schedule)

    @admin.display(description="enabled", boolean=True)
    def is_enabled(self, schedule: Schedule) -> bool:
        """Whether it makes jobs."""
        return schedule.enabled

    @admin.display(description="next run")
    def next_run(self, schedule: Any) -> SafeString:
        """Its next moment."""
        if not schedule.enabled or schedule.next_at is None:
            return render.DASH
        return render.moment_ago(schedule.next_at, schedule.db_now)

    @admin.display(description="last run")
    def last_run(self, schedule: Any) -> SafeString:
        """Its newest run and what became of it."""
        if schedule.run_time is None:
            return render.DASH
        when = render.moment_ago(schedule.run_time, schedule.db_now)
        return format_html(
            "{} {}", when, _job_link(schedule.run_job, schedule.run_status, schedule.run_outcome)
        )

    @admin.display(description="params")
    def params_tree(self, schedule: Schedule) -> SafeString:
        """Its params, the redacted ones hidden."""
        return render.tree(registry.shown_params(schedule.job_class, schedule.params))

    @admin.display(description="next runs")
    def next_runs(self, schedule: Any) -> SafeString:
        """Its next moments."""
        rule = rule_of(schedule)
        if not schedule.enabled or cron.fault(rule):
            return render.DASH
        moments: list[tuple[SafeString, str]] = []
        at = schedule.db_now
        while len(moments) < _NEXT_RUNS and (at := cron.next_after(rule, at)) is not None:
            moments.append((render.moment(at), render.relative(at, schedule.db_now)))
        rows = format_html_join("", '<li>{} <span class="quiet">{}</span></li>', moments)
        return format_html('<ul class="job-plain">{}</ul>', rows)

    @admin.display(description="last runs")
    def last_runs(self, schedule: Schedule) -> SafeString:
        """Its newest runs with their jobs."""
        runs = (
            ScheduleRun.objects.filter(schedule_name=schedule.name)
            .select_related("job")
            .order_by("-logical_time")[:_LAST_RUNS]
        )
        rows = format_html_join("", "<li>{} {}</li>", ((_when(run), run_link(run)) for run in runs))
        return format_html('<ul class="job-plain">{}</ul>', rows or render.DASH)

    @admin.display(description="read from settings")
    def synced(self, schedule: Schedule) -> SafeString:
        """When a scheduler last read it from the settings."""
        return render.moment(schedule.synced_at)

    @admin.display(description="run")
    def run_now(self, schedule: Any) -> SafeString:
        """A way to the form with its params, for who may run the class."""
        if not getattr(schedule, "may_run", False):
            return render.NOTHING
        address = reverse("admin:jobs_jobstatus_run_class", args=[schedule.job_class])
        return format_html(
            '<a class="button job-button" href="{}?schedule={}">Run now ...</a>',
            address,
            schedule.name,
        )


@admin.register(ScheduleRun)
class ScheduleRunAdmin(ReadOnlyAdmin):
    """Every tick that was handled, newest first."""

    list_display = ("schedule_name", "tick", "handled", "made", "reason")
    list_display_links = None
    list_select_related = ("job",)
    search_fields = ("schedule_name",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduleRun]:
        """Runs without their jobs' large columns."""
        runs: QuerySet[ScheduleRun] = super().get_queryset(request)
        return runs.defer("job__params", "job__result")

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
        """The job it made."""
        return run_link(run)


def run_link(run: ScheduleRun) -> SafeString:
    """Return a run's job and status, or why it made none."""
    job: JobStatus | None = run.job
    return _job_link(job.id if job else None, job.status if job else None, run.outcome)


def _job_link(job_id: Any, status: str | None, outcome: str) -> SafeString:
    if job_id is None or status is None:
        return format_html('<span class="quiet">{}</span>', outcome)
    return format_html('<a href="{}">{}</a>', job_page.page_address(job_id), render.badge(status))


def _when(run: ScheduleRun) -> SafeString:
    return render.moment(run.logical_time)
