"""Values as the admin shows them: badges, moments, durations, progress, JSON trees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.insights import how_far

DASH = SafeString("\N{EN DASH}")
NOTHING = SafeString("")
_OPEN = SafeString(" open")
_UNKNOWN_TOTAL = SafeString('<progress class="job-progress"></progress>')
MAX_NODES = 500  # of one tree: a page of a megabyte of JSON would freeze the browser
MAX_TEXT = 2_000  # characters of one text in a tree
_OPEN_DEPTH = 2  # levels of a tree that stand open

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SHORT_SECONDS = 10


def badge(word: str) -> SafeString:
    """Return a job's status, or an attempt's outcome, as a coloured word."""
    return format_html(
        '<span class="job-badge job-badge-{}">{}</span>', word, word.replace("_", " ")
    )


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: "42 ms", "3 min 5 s", "2 d 4 h"."""
    seconds = max(0.0, length.total_seconds())
    if seconds < _SHORT_SECONDS:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return " ".join(_parts(round(seconds))[:2])


def relative(moment: datetime, now: datetime) -> str:
    """Return how far `moment` is from `now`: "5 min ago", "in 2 h 59 min"."""
    seconds = round(abs((moment - now).total_seconds()))
    if seconds == 0:
        return "now"
    parts = _parts(seconds)
    return f"in {' '.join(parts[:2])}" if moment > now else f"{parts[0]} ago"


def _parts(seconds: int) -> list[str]:
    parts: list[tuple[int, str]] = []
    for unit_seconds, unit in _UNITS:
        count, seconds = divmod(seconds, unit_seconds)
        if count or parts:
            parts.append((count, unit))
    return [f"{count} {unit}" for count, unit in parts if count]


def moment(value: datetime | None) -> SafeString:
    """Return a moment in the site's time zone, with its full form as a tooltip."""
    if value is None:
        return DASH
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S.%f %Z"),
        local.strftime("%Y-%m-%d %H:%M:%S"),
    )


def moment_ago(value: datetime | None, now: datetime) -> SafeString:
    """Return how far a moment is from `now`, with the moment itself as a tooltip."""
    if value is None:
        return DASH
    local = timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), local, relative(value, now)
    )


def size(count_bytes: int) -> str:
    """Return a number of bytes for people: "512 B", "3.4 MiB"."""
    amount = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 - the very meaning of KiB
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def progress(value: Mapping[str, Any] | None) -> SafeString:
    """Return a progress bar with its numbers; a job that named no total gets no percentage."""
    if not value:
        return NOTHING
    done, total, message = value.get("done"), value.get("total"), value.get("message") or ""
    if not isinstance(done, int | float):
        return NOTHING
    if isinstance(total, int | float) and total > 0:
        bar = format_html(
            '<progress class="job-progress" max="{}" value="{}"></progress>',
            total,
            min(done, total),
        )
        numbers = f"{min(100, int(done * 100 / total))} %  ({done:,} of {total:,})"
    else:
        bar = _UNKNOWN_TOTAL
        numbers = "" if how_far.repeats(f"{done:,}", message) else f"{done:,}"
    return format_html(
        '{}<span class="job-progress-text">{} <span class="quiet">{}</span></span>',
        bar,
        numbers,
        message,
    )


def tags(values: Iterable[str]) -> SafeString:
    """Return labels as small boxes."""
    return format_html_join(" ", '<span class="job-tag">{}</span>', ((tag,) for tag in values))


def tree(value: Any) -> SafeString:
    """Return JSON as a tree that folds; at most `MAX_NODES` of it, and long texts cut."""
    return format_html('<div class="json-tree">{}</div>', _node("", value, _Budget(), 0))


class _Budget:
    """How many nodes may still be written."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _node(key: SafeString | str, value: Any, budget: _Budget, depth: int) -> SafeString:
    match value:
        case dict() if value:
            inner = _branch(value.items(), len(value), budget, depth)
            shape = f"{{{len(value)}}}"
        case list() if value:
            inner = _branch(enumerate(value), len(value), budget, depth)
            shape = f"[{len(value)}]"
        case _:
            return format_html("{}{}", key, _leaf(value))
    return format_html(
        '<details{}><summary>{}<span class="quiet">{}</span></summary><ul>{}</ul></details>',
        _OPEN if depth < _OPEN_DEPTH else NOTHING,
        key,
        shape,
        inner,
    )


def _branch(
    items: Iterable[tuple[Any, Any]], count: int, budget: _Budget, depth: int
) -> SafeString:
    rows: list[SafeString] = []
    for key, item in items:
        if not budget.take():
            more = '<span class="json-more">{} more, see the API for all of it</span>'
            rows.append(format_html(more, count - len(rows)))
            break
        shown = format_html('<span class="json-key">{}</span> ', key)
        rows.append(_node(shown, item, budget, depth + 1))
    return format_html_join("", "<li>{}</li>", ((row,) for row in rows))


def _leaf(value: Any) -> SafeString:
    match value:
        case str():
            kind, shown = "text", value if len(value) <= MAX_TEXT else _cut(value)
        case bool() | None:
            kind, shown = "word", json.dumps(value)
        case int() | float():
            kind, shown = "number", json.dumps(value)
        case _:
            kind, shown = "word", json.dumps(value)  # {} and []
    return format_html('<span class="json-{}">{}</span>', kind, shown)


def _cut(text: str) -> str:
    return f"{text[:MAX_TEXT]} ... {len(text) - MAX_TEXT:,} characters more"
