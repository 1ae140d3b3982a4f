"""One schedule's page: what it is, what it did and will do, on a calendar; and the verbs for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import conf, permissions, registry
from jobs.admin import render, schedule_calendar, schedule_cells, schedule_texts
from jobs.insights import schedule_grid, schedule_words
from jobs.models import Schedule, clock
from jobs.schedules import spans
from jobs.schedules.rules import rule_of

if TYPE_CHECKING:
    from jobs.admin.read_only import ReadOnlyAdmin

_NEXT_RUNS = 5


class ScheduleViews:
    """The views of one schedule; each checks the right for itself."""

    def __init__(self, model_admin: ReadOnlyAdmin) -> None:
        self.model_admin = model_admin

    def page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the whole schedule."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied  # its verbs have addresses of their own
        schedule = self._schedule(request, unquote(object_id))
        return self._answer(
            request,
            "page.html",
            title=schedule.name,
            schedule=schedule,
            **_story(request, schedule),
        )

    def _schedule(self, request: HttpRequest, name: str) -> Schedule:
        if not permissions.may_view_schedules(request.user):
            raise PermissionDenied
        if "\x00" in name or (schedule := Schedule.objects.filter(name=name).first()) is None:
            raise Http404(f"There is no schedule {name!r}.")
        return schedule

    def _answer(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        shared = self.model_admin.admin_site.each_context(request)
        opts = {"opts": self.model_admin.opts}
        return TemplateResponse(
            request, f"admin/jobs/schedule/{template}", {**shared, **opts, **context}
        )


def page_address(name: str) -> str:
    """Return the address of a schedule's page."""
    return reverse("admin:jobs_schedule_change", args=[quote(name)])


def state_badge(schedule: Schedule) -> SafeString:
    """Return "paused" or "off" as a badge; nothing where it does its work."""
    if not schedule.enabled:
        return render.badge("off")
    return render.badge("paused") if schedule.is_paused else render.NOTHING


def pause_line(schedule: Schedule, now: datetime) -> SafeString:
    """Return who paused it when and why, as a line of the list."""
    if schedule.paused_at is None:
        return render.NOTHING
    note = f": {schedule.pause_note}" if schedule.pause_note else ""
    who = schedule.paused_by or "somebody"
    when = render.relative(schedule.paused_at, now)
    return format_html('<div class="job-line job-pause">by {}, {}{}</div>', who, when, note)


def what_runs(schedule: Schedule) -> str:
    """Return the job class, or the steps of a workflow."""
    if schedule.steps is None:
        return schedule.job_class
    return " \N{RIGHTWARDS ARROW} ".join(schedule.steps)


def queue_of(schedule: Schedule) -> str:
    """Return the queue of a schedule's jobs."""
    spec = registry.find(schedule.job_class)
    return schedule.queue or (spec and spec.queue) or conf.current().queue


def _story(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    now = clock.read()
    view, last_day = schedule_calendar.asked(request.GET)
    grid = schedule_grid.grid(schedule, now=now, view=view, last_day=last_day)
    zone = grid.zone
    moments = schedule_grid.next_moments(rule_of(schedule), now, _NEXT_RUNS)
    return {
        "badge": state_badge(schedule),
        "what": what_runs(schedule),
        "words": schedule_words.in_words(schedule.crons, schedule.every),
        "sentences": _sentences(schedule, now),
        "facts": _facts(schedule),
        "moments": [
            (schedule_cells.clock_time(at, zone), render.relative(at, now), at)
            for at in moments
            if schedule.enabled
        ],
        "params": render.tree(registry.shown_params(schedule.job_class, schedule.params)),
        "calendar": schedule_calendar.of(request, schedule, grid, now, may_select=False),
        "runs_address": schedule_cells.runs_address(schedule.name),
        "may_run": _may_run(request, schedule),
    }


def _may_run(request: HttpRequest, schedule: Schedule) -> bool:
    known = registry.find(schedule.job_class) is not None
    return known and permissions.may_run_schedule(request.user, schedule)


def _sentences(schedule: Schedule, now: datetime) -> list[str]:
    said = []
    if not schedule.enabled:
        said.append("It is off, and makes no jobs by itself.")
    if schedule.paused_at is not None:
        who, when = schedule.paused_by or "Somebody", render.relative(schedule.paused_at, now)
        note = f": {schedule.pause_note}" if schedule.pause_note else ""
        said.append(f"{who} paused it {when}{note}")
        said.append("Until it is resumed, its moments are recorded as skipped.")
    elif schedule.enabled and schedule.next_at is None:
        said.append("It has no moment to come.")
    unknown = [name for name in permissions.classes_of(schedule) if registry.find(name) is None]
    if unknown:
        said.append(f"No job class is named {', '.join(unknown)}: its runs are refused.")
    if schedule.is_of_settings:
        said.append(
            f"It is declared in settings.JOB_SCHEDULES[{schedule.name!r}] and edited there;"
            " here it can be paused and run."
        )
    return said


def _facts(schedule: Schedule) -> list[tuple[str, Any]]:
    overlap = schedule_texts.overlap(schedule.overlap)
    lines = schedule.crons or [f"every {spans.written(schedule.every)}" if schedule.every else ""]
    facts: list[tuple[str, Any]] = [
        ("When", schedule_words.in_words(schedule.crons, schedule.every)),
        ("Rule", _codes(lines)),
        ("Time zone", schedule.timezone),
        ("Queue", queue_of(schedule)),
        ("Overlap", _explained(schedule.overlap, overlap)),
        ("Catch-up", _explained(schedule.catch_up, schedule_texts.catch_up(schedule.catch_up))),
    ]
    if schedule.jitter:
        facts.append(("Jitter", f"up to {render.duration(schedule.jitter)} later"))
    for label, moment in (("Not before", schedule.start_at), ("Not after", schedule.end_at)):
        if moment is not None:
            facts.append((label, render.moment(moment)))
    synced = "Read from settings" if schedule.is_of_settings else "Last changed"
    return [*facts, (synced, render.moment(schedule.synced_at))]


def _codes(lines: list[str]) -> SafeString:
    return format_html_join(SafeString("<br>"), "<code>{}</code>", ((line,) for line in lines))


def _explained(word: str, meaning: str) -> SafeString:
    return format_html('{} <span class="quiet">{}</span>', word.replace("_", " "), meaning)
