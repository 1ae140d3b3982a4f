"""Moments as the clocks of a schedule's zone show them."""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import render

_WEEK_DAYS = 7  # from there on a weekday's name is not clear


def clock_time(value: datetime, zone: tzinfo) -> str:
    """Return a moment in a schedule's zone: "Tue 1 Dec 2026, 02:00 CET"."""
    local = value.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y}, {_clock(local)} {local:%Z}"


def moment(value: datetime, zone: tzinfo, now: datetime) -> SafeString:
    """Return a moment as "in 3 h", with the clock's time in the schedule's zone beneath it."""
    return format_html(
        '<time datetime="{}" title="{}">{}<span class="job-line quiet">{}</span></time>',
        value.isoformat(),
        clock_time(value, zone),
        render.relative(value, now),
        short_time(value, zone, now),
    )


def short_time(value: datetime, zone: tzinfo, now: datetime) -> str:
    """Return a moment as shortly as it stays clear: "02:00", "Fri 02:00", "1 Jan 2027, 02:00"."""
    local, today = value.astimezone(zone), now.astimezone(zone).date()
    away = abs((local.date() - today).days)
    if away == 0:
        return _clock(local)
    if away < _WEEK_DAYS:
        return f"{local:%a} {_clock(local)}"
    return f"{local.day} {local:%b %Y}, {_clock(local)}"


def _clock(local: datetime) -> str:
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
