"""What one runner does, as its worker's row tells it: a job in its main thread, many async."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin import addresses, render


def listed(items: Iterable[SafeString]) -> SafeString:
    """Return `items` as a plain list."""
    rows = format_html_join("", "<li>{}</li>", ((item,) for item in items))
    return format_html('<ul class="job-plain">{}</ul>', rows)


def doing(runner: dict[str, Any], now: datetime) -> SafeString:
    """Return what a runner does; `now` is the database's."""
    count = runner.get("async_count")
    if not isinstance(count, int) or not count:
        return _main(runner, now)
    told = runner.get("async")
    jobs = [job for job in told if isinstance(job, dict)] if isinstance(told, list) else []
    items = [_job(job, now) for job in jobs]
    if count > len(items):
        items.append(format_html('<span class="quiet">and {} more</span>', count - len(items)))
    return format_html(
        "{}<details><summary>{} async: {}</summary>{}</details>",
        _main(runner, now),
        count,
        _classes(runner.get("async_classes")),
        listed(items),
    )


def _main(runner: dict[str, Any], now: datetime) -> SafeString:
    if _uuid(runner.get("job_id")) is None:
        word = "main thread idle" if runner.get("async_count") else "idle"
        if runner.get("batch"):
            word = "busy with short jobs"
        return format_html('<span class="quiet">{}, pid {}</span>', word, runner.get("pid"))
    return _job(runner, now, f", pid {runner.get('pid')}")


def _job(job: dict[str, Any], now: datetime, more: str = "") -> SafeString:
    job_id = _uuid(job.get("job_id"))
    if job_id is None:
        return render.DASH
    return format_html(
        '<a href="{}">{}</a> <span class="quiet">attempt {}{}{}</span>',
        addresses.of_job(job_id),
        job.get("job_class") or job_id,
        job.get("attempt", render.DASH),
        _since(job.get("started_at"), now),
        more,
    )


def _classes(counts: Any) -> str:
    pairs = counts if isinstance(counts, list) else []
    return ", ".join(
        f"{pair[0]} \N{MULTIPLICATION SIGN} {pair[1]}"
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2  # noqa: PLR2004 - a name and a number
    )


def _since(text: Any, now: datetime) -> str:
    started_at = parse_datetime(text) if isinstance(text, str) else None
    if started_at is None or started_at.tzinfo is None:
        return ""
    return f", for {render.duration(max(now - started_at, timedelta(0)))}"


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value)) if value else None
    except ValueError:
        return None
