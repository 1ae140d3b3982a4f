"""One schedule's page: what it is, what it did and will do, on a calendar."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from jobs import permissions
from jobs.admin import (
    render,
    schedule_backfill,
    schedule_calendar,
    schedule_cells,
    schedule_facts,
    schedule_history,
    schedule_views,
)
from jobs.insights import schedule_changes, schedule_grid, schedule_moments, schedule_words
from jobs.models import Schedule, clock
from jobs.schedules.rules import rule_of

_NEXT_RUNS = 5
_CHANGES = 8  # on the page; all of them are in its history


class PageView(schedule_views.ScheduleView):
    """The view of one schedule."""

    def page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the whole schedule."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied  # its verbs have addresses of their own
        schedule = self.find(request, unquote(object_id))
        story = _story(request, schedule, clock.read())
        return self.answer(request, "page.html", title=schedule.name, schedule=schedule, **story)


def _story(request: HttpRequest, schedule: Schedule, now: datetime) -> dict[str, Any]:
    view, last_day = schedule_calendar.asked(request.GET)
    grid = schedule_grid.grid(schedule, now=now, view=view, last_day=last_day)
    may_backfill = schedule_views.may_backfill(request, schedule)
    changes = schedule_changes.newest(schedule.name, limit=_CHANGES + 1)
    return {
        "badge": schedule_facts.state_badge(schedule),
        "what": schedule_facts.what_runs(schedule),
        "words": schedule_words.in_words(schedule.crons, schedule.every),
        "sentences": schedule_facts.sentences(schedule, now),
        "facts": schedule_facts.facts(schedule),
        "moments": _moments(schedule, grid.zone, now),
        "params": schedule_facts.params_tree(schedule),
        "calendar": schedule_calendar.of(request, schedule, grid, now, may_select=may_backfill),
        "backfills": schedule_backfill.panel(schedule, now),
        "changes": schedule_history.told(changes[:_CHANGES], now),
        "has_more_changes": len(changes) > _CHANGES,
        "runs_address": schedule_cells.runs_address(schedule.name),
        "may_backfill": may_backfill,
        **_rights(request, schedule),
    }


def _rights(request: HttpRequest, schedule: Schedule) -> dict[str, bool]:
    return {
        "may_see_runs": request.user.has_perm("jobs.view_schedulerun"),
        "may_run": schedule_views.may_run(request, schedule),
        "may_change": permissions.may_change_schedules(request.user),
        "may_edit": schedule_views.may_edit(request, schedule),
        "may_delete": schedule_views.may_delete(request, schedule),
    }


def _moments(schedule: Schedule, zone: tzinfo, now: datetime) -> list[tuple[str, str, datetime]]:
    if not schedule.enabled:
        return []
    return [
        (schedule_cells.clock_time(at, zone), render.relative(at, now), at)
        for at in schedule_moments.next_moments(rule_of(schedule), now, _NEXT_RUNS)
    ]
