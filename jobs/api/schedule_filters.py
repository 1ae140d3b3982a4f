"""The query strings of /api/schedules/ and of the lists below it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict

from jobs.api import filters
from jobs.api.filters import BadParameter
from jobs.api.pagination import DEFAULT_SIZE
from jobs.insights import places
from jobs.insights.places import BadCursor
from jobs.models import Schedule

_PAGE = ("page_size", "cursor")
_SCHEDULES = ("paused", "source", *_PAGE)
_PAUSED = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """What one request for a page of schedules asks for."""

    paused: bool | None = None
    source: str = ""
    cursor: str = ""  # after the schedule of this name
    page_size: int = DEFAULT_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What one request for a page of runs asks for."""

    cursor: datetime | None = None  # before this moment
    page_size: int = DEFAULT_SIZE


def schedules(query: QueryDict) -> Schedules:
    """Return what `query` asks for.

    Raises:
        Refusal: Some parameter is unknown, given twice or makes no sense; each is listed.
    """
    found: dict[str, Any] = filters.gather(query, _of_schedules)
    return Schedules(**found)


def runs(query: QueryDict) -> Runs:
    """Return what `query` asks for.

    Raises:
        Refusal: As `schedules`.
    """
    found: dict[str, Any] = filters.gather(query, _of_runs)
    return Runs(**found)


def _of_schedules(name: str, given: list[str]) -> object:
    text = filters.only_once(name, given, _SCHEDULES)
    match name:
        case "paused":
            if text not in _PAUSED:
                raise BadParameter("This must be true or false.")
            return _PAUSED[text]
        case "source":
            if text not in Schedule.Source.values:
                raise BadParameter(f"This must be one of: {', '.join(Schedule.Source.values)}.")
            return text
        case "cursor":
            return _place(text)
        case _:
            return filters.size(text)


def _of_runs(name: str, given: list[str]) -> object:
    text = filters.only_once(name, given, _PAGE)
    if name == "page_size":
        return filters.size(text)
    try:
        return places.read_moment(_place(text))
    except BadCursor as error:
        raise BadParameter(str(error)) from None


def _place(text: str) -> str:
    try:
        return places.read_opaque(text)
    except BadCursor as error:
        raise BadParameter(str(error)) from None
