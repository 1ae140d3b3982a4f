"""The query string of /api/jobs/ as a filter, or every fault of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import QueryDict

from jobs.api import problems
from jobs.api.pagination import DEFAULT_SIZE, MAX_SIZE
from jobs.api.problems import Refusal
from jobs.insights.places import BadCursor, Place, read_cursor
from jobs.insights.search import Filter
from jobs.statuses import Status

MAX_TEXT = 100
TEXTS = ("job", "queue", "tag")
TIMES = ("created_after", "created_before")
NAMES = ("status", *TEXTS, *TIMES, "cursor", "page_size")


class _Fault(ValueError):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What one request for a page of jobs asks for."""

    where: Filter
    after: Place | None
    size: int


def read(query: QueryDict) -> Query:
    """Return what `query` asks for.

    Raises:
        Refusal: Some parameter is unknown, given twice or makes no sense; each is listed.
    """
    values: dict[str, object] = {}
    faults: list[dict[str, str]] = []
    for name in query:
        try:
            values[name] = _value(name, query)
        except _Fault as fault:
            faults.append({"parameter": name[:MAX_TEXT], "detail": str(fault)})
    if faults:
        raise Refusal(
            problems.INVALID_QUERY,
            " ".join(f"{fault['parameter']}: {fault['detail']}" for fault in faults[:10]),
            errors=faults,
        )
    after, size = values.pop("cursor", None), values.pop("page_size", DEFAULT_SIZE)
    statuses = values.pop("status", ())
    where = Filter(statuses=statuses, **values)  # type: ignore[arg-type]
    return Query(where=where, after=after, size=size)  # type: ignore[arg-type]


def _value(name: str, query: QueryDict) -> object:
    given = query.getlist(name)
    if name not in NAMES:
        raise _Fault(f"There is no such parameter; there are: {', '.join(NAMES)}.")
    if name == "status":
        return _statuses(given)
    if len(given) > 1:
        raise _Fault("This may be given once.")
    return _single(name, given[0])


def _single(name: str, value: str) -> object:
    if name == "cursor":
        try:
            return read_cursor(value)
        except BadCursor as error:
            raise _Fault(str(error)) from None
    if name == "page_size":
        return _size(value)
    return _moment(value) if name in TIMES else _text(value)


def _statuses(given: list[str]) -> tuple[Status, ...]:
    words = [word for value in given for word in value.split(",")]
    unknown = [word for word in words if word not in set(Status)]
    if unknown:
        raise _Fault(f"A status is one of: {', '.join(Status)}.")
    return tuple(dict.fromkeys(Status(word) for word in words))


def _text(value: str) -> str:
    if not value or len(value) > MAX_TEXT or "\x00" in value:
        raise _Fault(f"This must be a text of 1 to {MAX_TEXT} characters.")
    return value


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Fault(
            "This must be a moment with its zone, as 2026-12-01T08:00:00Z; a + must be sent as %2B."
        )
    return moment


def _size(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(MAX_SIZE))):
        raise _Fault(f"This must be a whole number from 1 to {MAX_SIZE}.")
    if not 1 <= int(value) <= MAX_SIZE:
        raise _Fault(f"This must be from 1 to {MAX_SIZE}.")
    return int(value)
