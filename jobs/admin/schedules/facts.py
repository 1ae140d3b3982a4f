"""What a schedule is, in words and badges: for the list and for its page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import conf, permissions, registry
from jobs.admin import render
from jobs.admin.schedules import texts
from jobs.insights.schedules.shown import shown_params, shown_steps
from jobs.insights.schedules.words import in_words
from jobs.models import Schedule
from jobs.schedules.moments import spans
from jobs.workflows import declared


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
    """Return the job class, or a workflow's steps: "a, b → sum" where a and b run side by side."""
    if schedule.steps is None:
        return schedule.job_class
    if declared.faults(schedule.steps):
        return ", ".join(declared.readable(schedule.steps)) or "nothing that can be read"
    return " \N{RIGHTWARDS ARROW} ".join(map(", ".join, declared.levels(schedule.steps)))


def queue_of(schedule: Schedule) -> str:
    """Return the queue of a schedule's jobs."""
    spec = registry.find(schedule.job_class)
    return schedule.queue or (spec and spec.queue) or conf.current().queue


def params_tree(schedule: Schedule) -> SafeString:
    """Return its params, or the steps of a workflow with theirs, the redacted ones hidden."""
    steps = shown_steps(schedule)
    return render.tree(shown_params(schedule) if steps is None else steps)


def sentences(schedule: Schedule, now: datetime) -> list[str]:
    """Return what should be known before anything else, a sentence each."""
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
            " here it can be paused, run and backfilled."
        )
    return said


def facts(schedule: Schedule) -> list[tuple[str, Any]]:
    """Return its policies and all else that it states, each under its name."""
    overlap = texts.overlap(schedule.overlap)
    lines = schedule.crons or [f"every {spans.written(schedule.every)}" if schedule.every else ""]
    found: list[tuple[str, Any]] = [
        ("When", in_words(schedule.crons, schedule.every)),
        ("Rule", _codes(lines)),
        ("Time zone", schedule.timezone),
        ("Queue", queue_of(schedule)),
        ("Overlap", _explained(schedule.overlap, overlap)),
        ("Catch-up", _explained(schedule.catch_up, texts.catch_up(schedule.catch_up))),
    ]
    if schedule.jitter:
        found.append(("Jitter", f"up to {render.duration(schedule.jitter)} later"))
    for label, moment in (("Not before", schedule.start_at), ("Not after", schedule.end_at)):
        if moment is not None:
            found.append((label, render.moment(moment)))
    synced = "Read from settings" if schedule.is_of_settings else "Last changed"
    return [*found, (synced, render.moment(schedule.synced_at))]


def _codes(lines: list[str]) -> SafeString:
    return format_html_join(SafeString("<br>"), "<code>{}</code>", ((line,) for line in lines))


def _explained(word: str, meaning: str) -> SafeString:
    return format_html('{} <span class="quiet">{}</span>', word.replace("_", " "), meaning)
