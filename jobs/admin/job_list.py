"""How far down the job list looks, so that it costs the same on a table of any size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.db.models import DateTimeField
from django.http import HttpRequest

from jobs.admin import paging, render
from jobs.insights import search
from jobs.insights.places import BadCursor, Place, cursor, read_cursor
from jobs.insights.search import Filter
from jobs.models import JobQuerySet
from jobs.statuses import Status

AFTER = "after"  # the place further down than which the list begins
STATUS = "status__exact"
CREATED = ("created_at__gte", "created_at__lt")
TAG = "tag:"  # before a tag that is searched for
_ID_PREFIX = re.compile(r"[0-9a-f]{8,32}", re.IGNORECASE)


def is_id(term: str) -> bool:
    """Whether `term`, of the search, is an id or the beginning of one."""
    return _ID_PREFIX.fullmatch(term.strip().replace("-", "")) is not None


class JobList(ChangeList):
    """The jobs that are asked for, as far as one look reaches; and the way further down."""

    stopped_at: Place | None = None  # there may be more below
    is_listed = False

    def get_results(self, request: HttpRequest) -> None:
        """Read the page that is shown."""
        super().get_results(request)
        self.is_listed = True

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> JobQuerySet:
        """The jobs down to where this look stops; all of them for what is done to all."""
        jobs: JobQuerySet = super().get_queryset(request, exclude_parameters)  # type: ignore[assignment]
        query = request.GET
        if self.is_listed:
            return jobs.order_by()
        if is_id(query.get(SEARCH_VAR, "")):
            return jobs.order_by("-id")  # the primary key's own order
        limit = paging.limit(paging.page_number(request, PAGE_VAR), self.list_per_page)
        found = search.find(_asked(query), after=_place(query.get(AFTER)), limit=limit)
        self.stopped_at = found.stopped_at
        return found.of(jobs)

    def get_query_string(
        self, new_params: dict[str, Any] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        """The address of the list with other params; a new question begins at the newest job."""
        asked = new_params or {}
        kept = PAGE_VAR in asked or AFTER in asked
        return super().get_query_string(
            asked, list(remove or ()) if kept else [*(remove or ()), AFTER]
        )

    @property
    def further(self) -> dict[str, Any] | None:
        """Where the look stopped, and the address from there on; None where nothing is left out."""
        if self.stopped_at is None or self.page_num < self.paginator.num_pages:
            return None
        return {
            "since": render.moment(self.stopped_at.created_at),
            "url": self.get_query_string({AFTER: cursor(self.stopped_at)}, [PAGE_VAR]),
        }


def _asked(query: Mapping[str, str]) -> Filter:
    after, before = (_moment(query.get(name)) for name in CREATED)
    term = query.get(SEARCH_VAR, "").strip()
    is_tag = term.startswith(TAG)
    return Filter(
        # A word that is no status finds nothing, whatever else is asked for.
        statuses=tuple(Status(word) for word in [query.get(STATUS)] if word in set(Status)),
        job=query.get("class", ""),
        queue=query.get("queue", ""),
        tag=term.removeprefix(TAG) if is_tag else query.get("tag", ""),
        schedule=query.get("schedule", ""),
        words=() if is_tag else tuple(term.split()),
        created_after=after,
        created_before=before,
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return DateTimeField().to_python(text) if text else None
    except ValidationError:
        return None  # Django's own filter says so


def _place(text: str | None) -> Place | None:
    try:
        return read_cursor(text) if text else None
    except BadCursor:
        return None
