"""A schedule's calendar as its page shows it: what each cell says and where it leads."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.http import urlencode

from jobs.admin.schedules import cells, times
from jobs.admin.schedules.cells import Links
from jobs.insights.schedules.grid import Cell, Grid
from jobs.insights.schedules.periods import View
from jobs.models import Backfill, Schedule, ScheduleRun

Only = Backfill.Only

VIEWS = {View.DAY: "Day", View.DAYS: "14 days", View.WEEKS: "8 weeks", View.YEAR: "Year"}
LEGEND = (
    ("completed", "completed"), ("failed", "failed"), ("cancelled", "cancelled"),
    ("started", "running"), ("queued", "waiting"), ("skipped", "skipped"), ("refused", "refused"),
    ("missing", "no run"), ("ahead", "to come"),
)  # fmt: skip
MAX_WIDE = 20  # columns; of more each is a few pixels wide
_SOON = timedelta(minutes=1)
_WITHOUT_JOB = {ScheduleRun.Outcome.SKIPPED, ScheduleRun.Outcome.REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One cell."""

    css: str
    title: str
    text: str = ""
    href: str = ""
    select: str = ""  # the span of moments that it stands for in a backfill: "first/last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Turns a grid's cells into what is shown."""

    schedule: Schedule
    grid: Grid
    now: datetime
    links: Links
    may_select: bool

    def context(self) -> dict[str, Any]:
        """Return what the template wants."""
        grid = self.grid
        return {
            "grid": grid,
            "rows": [(label, map(self.shown, row)) for label, row in grid.rows],
            "columns": [(name, self._column_link(i)) for i, name in enumerate(grid.columns)],
            "period": _period(grid),
            "summary": cells.counted(
                word for word, count in grid.counts.items() for _ in range(count)
            ),
            "views": [(view, label, view is grid.view) for view, label in VIEWS.items()],
            "legend": LEGEND,
            "may_select": self.may_select,
            "has_missing": bool(grid.missing) or bool(_WITHOUT_JOB & set(grid.counts)),
            "has_failed": bool({"failed", "cancelled"} & set(grid.counts)),
            "missing_address": self._backfill_address(Only.MISSING),
            "failed_address": self._backfill_address(Only.FAILED),
            "is_narrow": len(grid.columns) > MAX_WIDE,
            "is_living": self._is_living(),
        }

    def _is_living(self) -> bool:
        """Whether the calendar may look otherwise in a moment."""
        shown = self.grid.cells
        is_going_on = any(run.is_living for cell in shown for run in cell.runs)
        return is_going_on or any(at - self.now < _SOON for cell in shown for at in cell.ahead)

    def shown(self, cell: Cell) -> Shown:
        """Return what a cell looks like, says and leads to."""
        if not cell.slot.exists:
            return Shown(css="job-cell-none", title="The clocks leave this time out.")
        text = str(cell.slot.day.day) if self.grid.view is View.WEEKS else ""
        match cell.runs, cell.missing:
            case [], []:
                return self._ahead(cell, text)
            case [], missing:
                return self._missing(missing, text)
            case [run], []:
                words = cells.title(run, self.grid.zone, self.now)
                css = f"job-run job-run-{run.status}"
                select = ""
                if self.may_select and run.outcome in _WITHOUT_JOB:
                    select = _span([run.logical_time])
                href = self.links.of_run(run)
                return Shown(css=css, title=words, text=text, href=href, select=select)
        return self._several(cell, text)

    def _ahead(self, cell: Cell, text: str) -> Shown:
        if not cell.ahead:
            return Shown(css="", title="", text=text)
        word = "will be skipped, it is paused" if self.schedule.is_paused else "to come"
        return Shown(
            css="job-run job-run-ahead", title=f"{self._when(cell.ahead)}: {word}", text=text
        )

    def _missing(self, missing: list[datetime], text: str) -> Shown:
        first = self.grid.first_run_at
        is_early = first is None or missing[-1] < first
        words = f"{self._when(missing)}: no run"
        if is_early:
            words += ", before its first"
        css = f"job-run job-run-missing{' job-run-early' if is_early else ''}"
        select = _span(missing) if self.may_select else ""
        return Shown(css=css, title=words, text=text or self._count(missing), select=select)

    def _several(self, cell: Cell, text: str) -> Shown:
        counted = cells.counted(run.status for run in cell.runs)
        gone = f", {len(cell.missing):,} without a run" if cell.missing else ""
        start, end = cell.slot.start, cell.slot.end
        return Shown(
            css=f"job-run job-run-{cell.status}{' job-run-holes' if cell.missing else ''}",
            title=f"{times.clock_time(start, self.grid.zone)} and on: {counted}{gone}",
            text=text or self._count(cell.runs),
            href=cells.runs_address(
                self.schedule.name, logical_time__gte=start, logical_time__lt=end
            )
            if self.grid.view is View.DAY
            else f"?view={View.DAY}&until={cell.slot.day}",
        )

    def _count(self, several: Sized) -> str:
        """Return how many there are, where there is room for it."""
        has_room = len(self.grid.columns) <= MAX_WIDE and len(several) > 1
        return str(len(several)) if has_room else ""

    def _when(self, moments: list[datetime]) -> str:
        first = times.clock_time(moments[0], self.grid.zone)
        return first if len(moments) == 1 else f"{first} and {len(moments) - 1:,} more"

    def _backfill_address(self, only: Only) -> str:
        """Return the address of the form for all such moments of the period, up to now."""
        last = min(self.grid.last_day, self.now.astimezone(self.grid.zone).date())
        query = urlencode(
            {"first": str(self.grid.first_day), "last": str(last), "only": only.value}
        )
        return f"{reverse('admin:jobs_schedule_backfill', args=[self.schedule.name])}?{query}"

    def _column_link(self, index: int) -> str:
        if self.grid.view is not View.DAYS:
            return ""
        return f"?view={View.DAY}&until={self.grid.rows[0][1][index].slot.day}"


def asked(query: Mapping[str, str]) -> tuple[View | None, date | None]:
    """Return the view and the last day that an address asks for; None for what makes no sense."""
    view = query.get("view", "")
    try:
        day = parse_date(query.get("until", ""))
    except ValueError:
        day = None
    # Far enough from the calendar's ends for every zone and view.
    sane = day if day and 1971 <= day.year <= 9000 else None  # noqa: PLR2004
    return (View(view) if view in set(View) else None), sane


def of(request: HttpRequest, schedule: Schedule, grid: Grid, now: datetime, **more: bool) -> Any:
    """Return the template's context of a schedule's calendar."""
    return Calendar(
        schedule=schedule,
        grid=grid,
        now=now,
        links=Links.of(request),
        may_select=more["may_select"],
    ).context()


def _span(moments: list[datetime]) -> str:
    return f"{moments[0].isoformat()}/{moments[-1].isoformat()}"


def _period(grid: Grid) -> str:
    first, last = grid.first_day, grid.last_day
    if first == last:
        return f"{last:%A} {last.day} {last:%B %Y}"
    year = f" {first.year}" if first.year != last.year else ""
    return f"{first.day} {first:%b}{year} \N{EN DASH} {last.day} {last:%b} {last.year}"
