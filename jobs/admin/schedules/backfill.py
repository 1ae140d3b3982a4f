"""Backfills in the admin: planned in a form, started, stopped and continued."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime

from jobs import permissions
from jobs.admin import render
from jobs.admin.schedules import rights, times
from jobs.admin.schedules.base import ScheduleView, to_page, told
from jobs.errors import ScheduleError
from jobs.insights import backfills
from jobs.insights.schedules.moments import zone_of
from jobs.models import Backfill, Schedule, clock
from jobs.schedules import backfill
from jobs.schedules.backfill import MAX_ACTIVE, Only, Plan, Wanted
from jobs.schedules.moments import days
from jobs.schedules.standings import Standing

_SHOWN = 8  # moments of each kind that the plan names
_LISTED = 5  # backfills on a schedule's page
_ONLY = (
    (Only.MISSING, "moments without a job: no run, or a skipped or refused one"),
    (Only.FAILED, "failed and cancelled ones: their jobs are retried"),
    (Only.ALL, "all: also completed ones run again"),
)
_WORDS = {
    Standing.MISSING: "without a job",
    Standing.FAILED: "failed or cancelled",
    Standing.COMPLETED: "completed",
    Standing.LIVING: "still going on",
}
_STOP = "stop"
_VERBS = {_STOP: (backfill.stop, "stopped"), "continue": (backfill.resume, "continued")}


class BackfillForm(forms.Form):
    """From when to when, which moments, how many at once, in which order."""

    first = forms.CharField(label="From", max_length=40)
    last = forms.CharField(label="To", max_length=40)
    only = forms.ChoiceField(label="Which", choices=_ONLY, widget=forms.RadioSelect)
    max_active = forms.IntegerField(
        label="At once",
        min_value=1,
        max_value=MAX_ACTIVE,
        help_text="So many of its runs live at the same time.",
    )
    newest_first = forms.BooleanField(label="Newest first", required=False)

    def __init__(self, schedule: Schedule, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        self.fields["first"].help_text = self.fields["last"].help_text = (
            f"A day, or a moment such as 2026-11-01T08:00; in {schedule.timezone}."
        )
        for name in ("first", "last"):
            self.fields[name].widget.attrs["class"] = "vTextField"

    def wanted(self) -> Wanted:
        """Return what is asked for.

        Raises:
            InvalidBackfill: The texts name no stretch of time.
        """
        asked = self.cleaned_data
        from_at, to_at = days.stretch(
            asked["first"], asked["last"], timezone=self.schedule.timezone, now=clock.read()
        )
        return Wanted(
            schedule_name=self.schedule.name,
            from_at=from_at,
            to_at=to_at,
            newest_first=asked["newest_first"],
            max_active=asked["max_active"],
            only=Only(asked["only"]),
        )


class BackfillViews(ScheduleView):
    """The views of a schedule's backfills."""

    def start(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show what a backfill would do; start it where the button says so (POST)."""
        schedule = self._schedule(request, name)
        data = _asked(request, schedule) if request.method == "GET" else request.POST
        form = BackfillForm(schedule, data)
        plan = None
        if form.is_valid():
            try:
                wanted = form.wanted()
                if request.method == "POST" and "start" in request.POST:
                    return _started(request, wanted)
                plan = backfill.plan(wanted, shown=_SHOWN)
            except ScheduleError as error:
                form.add_error(None, str(error))
        return self.answer(
            request,
            "backfill.html",
            title=f"Backfill {schedule.name}",
            schedule=schedule,
            form=form,
            plan=_told(plan, schedule, clock.read()) if plan else None,
            spans=len(request.GET.getlist("span")),
        )

    def steer(self, request: HttpRequest, name: str, backfill_id: int, verb: str) -> HttpResponse:
        """Stop a backfill, or continue it (POST)."""
        schedule = self.find(request, name)
        may = rights.may_backfill(request, schedule)
        if verb == _STOP:
            may = permissions.may_change_schedules(request.user)
        if request.method != "POST" or not may:
            raise PermissionDenied
        if verb not in _VERBS:
            raise Http404(f"There is no verb {verb!r}.")
        if not Backfill.objects.filter(pk=backfill_id, schedule_name=schedule.name).exists():
            raise Http404(f"There is no backfill {backfill_id} of {schedule.name}.")
        do, word = _VERBS[verb]
        with told(request, f"Backfill {backfill_id} is {word}."):
            do(backfill_id, by=request.user.get_username())
        return to_page(schedule.name)

    def _schedule(self, request: HttpRequest, name: str) -> Schedule:
        schedule = self.find(request, name)
        if not rights.may_backfill(request, schedule):
            raise PermissionDenied
        return schedule


def panel(schedule: Schedule, now: datetime) -> list[dict[str, Any]]:
    """Return a schedule's newest backfills, those that have yet to end with their progress."""
    zone = zone_of(schedule)
    return [
        {
            "backfill": found,
            "from": times.short_time(found.from_at, zone, now),
            "to": times.short_time(found.to_at, zone, now),
            "age": render.moment_ago(found.created_at, now),
            "badge": render.badge(found.status),
            **_progress(found),
        }
        for found in backfills.newest(schedule_name=schedule.name, limit=_LISTED)
    ]


def _progress(found: Backfill) -> dict[str, Any]:
    if found.status == Backfill.Status.COMPLETED:
        return {"numbers": f"{found.made:,} made, {found.passed:,} passed over"}
    progress = backfills.progress(found.pk)
    if progress is None:
        return {"numbers": ""}
    counts = (
        (progress.completed, "completed"), (progress.failed, "failed"),
        (progress.living, "going on"), (progress.refused, "refused"), (found.passed, "passed over"),
    )  # fmt: skip
    return {
        "done": progress.looked_at - progress.living,
        "numbers": ", ".join(f"{count:,} {word}" for count, word in counts if count),
        "is_forsaken": found.status == Backfill.Status.RUNNING and not progress.is_seen_to,
    }


def _asked(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    """Return the form's data from an address: marked cells, a period, or what was typed."""
    query = request.GET
    asked = {
        "first": query.get("first", ""),
        "last": query.get("last", ""),
        "only": query.get("only", Only.MISSING.value),
        "max_active": query.get("max_active", "2"),
        "newest_first": query.get("newest_first", ""),
    }
    marked = sorted(_marked(query.getlist("span")))
    if marked:
        zone = zone_of(schedule)
        ends = (marked[0], marked[-1])
        asked["first"], asked["last"] = (end.astimezone(zone).isoformat() for end in ends)
    return asked


def _marked(spans: Iterable[str]) -> Iterable[datetime]:
    for span in spans:
        for text in span.split("/"):
            try:
                moment = parse_datetime(text)
            except ValueError:
                continue
            if moment is not None and moment.tzinfo is not None:
                yield moment


def _started(request: HttpRequest, wanted: Wanted) -> HttpResponse:
    made = backfill.start(wanted, by=request.user.get_username())
    messages.success(
        request, f"Backfill {made.pk} is started: {made.total:,} moments, {made.only}."
    )
    return to_page(wanted.schedule_name)


def _told(plan: Plan, schedule: Schedule, now: datetime) -> dict[str, Any]:
    zone = zone_of(schedule)
    return {
        "total": plan.total,
        "to_make": plan.to_make,
        "kinds": [
            (
                _WORDS[standing],
                count,
                [times.clock_time(moment, zone) for moment in plan.first[standing]],
                count - len(plan.first[standing]),
            )
            for standing, count in plan.counts.items()
            if count
        ],
        "now": now,
    }
