"""Runs of schedules as small coloured cells: bars of a strip, cells of a calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs import permissions
from jobs.admin import addresses, render
from jobs.admin.schedules import times
from jobs.insights.schedules.runs import Run
from jobs.models import ScheduleRun

_REASON_CHARACTERS = 160
_NO_JOB, _NO_RUN = UUID(int=0), "no-run"
_HEIGHTS = 5  # of a bar, by how long its run was beside the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where a person may follow a run to."""

    # An address each with a stand-in for the id, since a page has thousands of them; empty where
    # this person may not look.
    job: str
    run: str

    @classmethod
    def of(cls, request: HttpRequest) -> Links:
        """Return what this request's person may see."""
        may_see_jobs = permissions.may_view(request.user)
        may_see_runs = request.user.has_perm("jobs.view_schedulerun")
        run = reverse("admin:jobs_schedulerun_change", args=[_NO_RUN])
        return cls(
            job=addresses.of_job(_NO_JOB) if may_see_jobs else "",
            run=run if may_see_runs else "",
        )

    def of_run(self, run: Run) -> str:
        """Return the address of a run's job, of the run itself where there is none, or nothing."""
        if run.job_id is not None and self.job:
            return self.job.replace(str(_NO_JOB), str(run.job_id))
        return self.run.replace(_NO_RUN, str(run.id))


def title(run: Run, zone: tzinfo, now: datetime) -> str:
    """Return a run in one line: when, what became of it, how long, how many rows, who asked."""
    parts = [f"{times.clock_time(run.logical_time, zone)}: {run.status.replace('_', ' ')}"]
    length = run.length(now)
    if length is not None:
        parts.append(f"{'for' if run.is_living else 'after'} {render.duration(length)}")
    if run.rows is not None:
        parts.append(f"{run.rows:,} rows")
    if run.rows_rejected:
        parts.append(f"{run.rows_rejected:,} rejected")
    if run.kind != ScheduleRun.Kind.TICK:
        kind = "run now" if run.kind == ScheduleRun.Kind.MANUAL else run.kind
        parts.append(f"{kind} by {run.made_by}" if run.made_by else kind)
    if run.reason:
        parts.append(Truncator(run.reason).chars(_REASON_CHARACTERS))
    return ", ".join(parts)


def strip(runs: Sequence[Run], zone: tzinfo, now: datetime, links: Links) -> SafeString:
    """Return runs as bars, the newest at the end; the longer it ran, the higher its bar.

    The bars are for the mouse and the eye; a reader hears how many there are of each kind.
    """
    if not runs:
        return render.DASH
    lengths = [run.length(now) or timedelta(0) for run in runs]
    longest = max(*lengths, timedelta(microseconds=1))
    bars = (
        _bar(run, title(run, zone, now), links.of_run(run), length / longest)
        for run, length in zip(runs, lengths, strict=True)
    )
    words = f"Last {len(runs)} runs: {counted(run.status for run in runs)}"
    return format_html(
        '<span class="job-strip" role="group" aria-label="{}">{}</span>',
        words,
        format_html_join("", "{}", ((bar,) for bar in bars)),
    )


def counted(words: Iterable[str]) -> str:
    """Return how many there are of each word, the most frequent first: "28 completed, 2 failed"."""
    return ", ".join(f"{count:,} {word}" for word, count in Counter(words).most_common())


def _bar(run: Run, words: str, address: str, share: float) -> SafeString:
    height = max(1, round(share * _HEIGHTS)) if run.has_job else 1
    css = f"job-bar job-bar-{height} job-run job-run-{run.status}"
    if not address:
        return format_html('<span class="{}" title="{}"></span>', css, words)
    return format_html('<a class="{}" href="{}" title="{}" tabindex="-1"></a>', css, address, words)


def link(run: Run, links: Links) -> SafeString:
    """Return a run's status as a badge that leads to its job."""
    address = links.of_run(run)
    badge = render.badge(run.status)
    return format_html('<a href="{}">{}</a>', address, badge) if address else badge


def runs_address(name: str, **lookups: Any) -> str:
    """Return the address of the list of a schedule's runs."""
    query = urlencode({"schedule_name": name, **lookups})
    return f"{reverse('admin:jobs_schedulerun_changelist')}?{query}"
