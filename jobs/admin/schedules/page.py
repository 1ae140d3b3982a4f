"""One schedule's page: what it is, what it did and will do, on a calendar."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from jobs import permissions
from jobs.admin import render
from jobs.admin.schedules import backfill, calendar, cells, facts, history, rights, times
from jobs.admin.schedules.base import ScheduleView
from jobs.insights.schedules import changes
from jobs.insights.schedules.grid import grid
from jobs.insights.schedules.moments import next_moments
from jobs.insights.schedules.words import in_words
from jobs.models import Schedule, clock
from jobs.schedules.rules import rule_of

_NEXT_RUNS = 5
_CHANGES = 8  # on the page; all of them are in its history


class PageView(ScheduleView):
    """The view of one schedule."""

    def page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the whole schedule."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied  # its verbs have addresses of their own
        schedule = self.find(request, unquote(object_id))
        story = _story(request, schedule, clock.read())
        return self.answer(request, "page.html", title=schedule.name, schedule=schedule, **story)


def _story(request: HttpRequest, schedule: Schedule, now: datetime) -> dict[str, Any]:
    view, last_day = calendar.asked(request.GET)
    period = grid(schedule, now=now, view=view, last_day=last_day)
    may_backfill = rights.may_backfill(request, schedule)
    newest = changes.newest(schedule.name, limit=_CHANGES + 1)
    return {
        "badge": facts.state_badge(schedule),
        "what": facts.what_runs(schedule),
        "words": in_words(schedule.crons, schedule.every),
        "sentences": facts.sentences(schedule, now),
        "facts": facts.facts(schedule),
        "moments": _moments(schedule, period.zone, now),
        "params": facts.params_tree(schedule),
        "calendar": calendar.of(request, schedule, period, now, may_select=may_backfill),
        "backfills": backfill.panel(schedule, now),
        "changes": history.told(newest[:_CHANGES], now),
        "has_more_changes": len(newest) > _CHANGES,
        "runs_address": cells.runs_address(schedule.name),
        "may_backfill": may_backfill,
        **_rights(request, schedule),
    }


def _rights(request: HttpRequest, schedule: Schedule) -> dict[str, bool]:
    return {
        "may_see_runs": request.user.has_perm("jobs.view_schedulerun"),
        "may_run": rights.may_run(request, schedule),
        "may_change": permissions.may_change_schedules(request.user),
        "may_edit": rights.may_edit(request, schedule),
        "may_delete": rights.may_delete(request, schedule),
    }


def _moments(schedule: Schedule, zone: tzinfo, now: datetime) -> list[tuple[str, str, datetime]]:
    if not schedule.enabled:
        return []
    return [
        (times.clock_time(at, zone), render.relative(at, now), at)
        for at in next_moments(rule_of(schedule), now, _NEXT_RUNS)
    ]
