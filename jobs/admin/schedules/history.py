"""Who changed what of a schedule, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.text import Truncator

from jobs import permissions
from jobs.admin import render
from jobs.admin.schedules.base import ScheduleView
from jobs.insights.schedules.changes import newest
from jobs.models import Schedule, ScheduleChange

_ON_PAGE = 100
_SHOWN = 200  # characters of a value
_BEFORE = "before"


class HistoryView(ScheduleView):
    """The history of one schedule, also of one that is gone."""

    def page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show the changes, newest first, a page of them."""
        if not permissions.may_view_schedules(request.user):
            raise PermissionDenied
        if "\x00" in name:
            raise Http404("No schedule has such a name.")
        given = request.GET.get(_BEFORE, "")
        before = int(given) if given.isdecimal() and len(given) < 19 else None  # noqa: PLR2004 - a bigint's digits
        changes = newest(name, limit=_ON_PAGE + 1, before=before)
        is_there = Schedule.objects.filter(name=name).exists()
        if not (is_there or changes):
            raise Http404(f"There is no schedule {name!r}, and never was.")
        return self.answer(
            request,
            "history.html",
            title=f"History of {name}",
            name=name,
            is_there=is_there,
            changes=told(changes[:_ON_PAGE]),
            older=changes[_ON_PAGE - 1].pk if len(changes) > _ON_PAGE else None,
        )


def told(changes: Iterable[ScheduleChange], now: datetime | None = None) -> list[dict[str, Any]]:
    """Return changes for a table: when, who, what was done, and each field's old and new value."""
    return [
        {
            "at": render.moment(change.at),
            "ago": render.relative(change.at, now) if now else "",
            "by": change.by,
            "verb": change.verb,
            "note": change.note,
            "fields": list(_fields(change.what)),
        }
        for change in changes
    ]


def _fields(what: Any) -> Iterator[tuple[str, str, str]]:
    for name, pair in what.items() if isinstance(what, dict) else ():
        old, new = pair if isinstance(pair, list) and len(pair) == 2 else (None, pair)  # noqa: PLR2004 - old and new
        yield name.replace("_", " "), _word(old), _word(new)


def _word(value: Any) -> str:
    """Return a value of JSON in short: texts bare, lists of texts joined, nothing as nothing."""
    if value in (None, "", [], {}):
        return ""
    match value:
        case str():
            text = value
        case list() if all(isinstance(item, str) for item in value):
            text = "; ".join(value)
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return Truncator(text).chars(_SHOWN)
