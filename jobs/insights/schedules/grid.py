"""One schedule's runs on a calendar, with the moments that have none."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from itertools import islice

from jobs.insights.schedules.moments import gap_of, zone_of
from jobs.insights.schedules.periods import DAYS_OF, Slot, View, layout, view_for
from jobs.insights.schedules.runs import Run, between, first_moment
from jobs.models import Schedule
from jobs.schedules.moments import cron, spans
from jobs.schedules.moments.cron import Rule
from jobs.schedules.rules import rule_of
from jobs.statuses import WORST_FIRST

MAX_RUNS = 20_000  # of one look; of more only the newest
MAX_MOMENTS = 20_000  # of one look; where there are more, none is called missing


@dataclass(slots=True, kw_only=True)
class Cell:
    """What happened, or will, in one slot."""

    slot: Slot
    runs: list[Run] = field(default_factory=list)
    missing: list[datetime] = field(default_factory=list)  # past moments without a run
    ahead: list[datetime] = field(default_factory=list)  # moments to come

    @property
    def status(self) -> str:
        """The worst status of its runs; empty where there is none."""
        words = {run.status for run in self.runs}
        ranked = [word for word in WORST_FIRST if word in words and word != "completed"]
        return next(iter([*ranked, *sorted(words - set(WORST_FIRST)), *sorted(words)]), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A period of a schedule's life."""

    view: View
    zone: tzinfo
    columns: tuple[str, ...]
    rows: list[tuple[str, list[Cell]]]
    first_day: date
    last_day: date
    previous: date  # the last day of the period before
    following: date | None  # that of the period after; None where it has not begun
    counts: Counter[str]  # runs by status
    missing: list[datetime]
    first_run_at: datetime | None  # a missing moment before it was perhaps never to be
    is_cut: bool  # there are older runs than are shown
    knows_missing: bool  # False: too many moments to look at each

    @property
    def cells(self) -> list[Cell]:
        """All of them."""
        return [cell for _, row in self.rows for cell in row]


def grid(
    schedule: Schedule, *, now: datetime, view: View | None = None, last_day: date | None = None
) -> Grid:
    """Return a period of a schedule's runs and moments: two statements.

    Args:
        schedule: Its rule and zone decide the layout.
        now: The database's time.
        view: What is seen; without it, what fits how often it runs.
        last_day: Where the period ends, in the schedule's zone; without it, today.
    """
    zone, rule = zone_of(schedule), rule_of(schedule)
    gap = gap_of(rule, now)
    today = now.astimezone(zone).date()
    table = layout(view or view_for(gap), min(last_day or today, today), zone, gap=gap)
    slots = table.slots
    since, until = slots[0].start, slots[-1].end
    runs = between(schedule.name, since, until, limit=MAX_RUNS)
    is_cut = len(runs) > MAX_RUNS
    moments = _moments(rule, since, until)
    rows = [(label, [Cell(slot=slot) for slot in row]) for label, row in table.rows]
    cells = [cell for _, row in rows for cell in row]
    _fill(cells, runs[-MAX_RUNS:], moments or [], now, is_enabled=schedule.enabled)
    days = timedelta(days=DAYS_OF[table.view])
    return Grid(
        view=table.view,
        zone=zone,
        columns=table.columns,
        rows=rows,
        first_day=slots[0].day,
        last_day=table.last_day,
        previous=table.last_day - days,
        following=min(table.last_day + days, today) if table.last_day < today else None,
        counts=Counter(run.status for run in runs[-MAX_RUNS:]),
        missing=[] if is_cut else sorted(m for cell in cells for m in cell.missing),
        first_run_at=first_moment(schedule.name),
        is_cut=is_cut,
        knows_missing=moments is not None and not is_cut,
    )


def _fill(
    cells: list[Cell], runs: list[Run], moments: list[datetime], now: datetime, *, is_enabled: bool
) -> None:
    ordered = sorted((c for c in cells if c.slot.exists), key=lambda cell: cell.slot.start)
    starts = [cell.slot.start for cell in ordered]

    def at(moment: datetime) -> Cell:
        return ordered[bisect_right(starts, moment) - 1]

    for run in runs:
        at(run.logical_time).runs.append(run)
    handled = {run.logical_time for run in runs}
    for moment in moments:
        if moment in handled:
            continue
        if moment <= now:
            at(moment).missing.append(moment)
        elif is_enabled:
            at(moment).ahead.append(moment)


def _moments(rule: Rule, since: datetime, until: datetime) -> list[datetime] | None:
    """Return the rule's moments of the period; None where there are too many to look at each."""
    if cron.fault(rule):
        return []
    found = list(islice(_between(rule, since, until), MAX_MOMENTS + 1))
    return found if len(found) <= MAX_MOMENTS else None


def _between(rule: Rule, since: datetime, until: datetime) -> Iterator[datetime]:
    return cron.moments(rule, after=since - spans.MICROSECOND, until=until - spans.MICROSECOND)
