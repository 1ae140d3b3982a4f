"""The query string of /api/jobs/ as a filter, or every fault of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


class BadParameter(ValueError):
    """What a parameter of a query string holds makes no sense; the text says what it must be."""


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
    values = gather(query, _value)
    after, size = values.pop("cursor", None), values.pop("page_size", DEFAULT_SIZE)
    statuses = values.pop("status", ())
    where = Filter(statuses=statuses, **values)  # type: ignore[arg-type]
    return Query(where=where, after=after, size=size)  # type: ignore[arg-type]


def gather(query: QueryDict, read_one: Callable[[str, list[str]], object]) -> dict[str, object]:
    """Return the value of each parameter, by `read_one` of its name and of what is given.

    Raises:
        Refusal: With every BadParameter that it raised.
    """
    values: dict[str, object] = {}
    faults: list[dict[str, str]] = []
    for name, given in query.lists():
        try:
            values[name] = read_one(name, given)
        except BadParameter as fault:
            faults.append({"parameter": name[:MAX_TEXT], "detail": str(fault)})
    if faults:
        raise Refusal(
            problems.INVALID_QUERY,
            " ".join(f"{fault['parameter']}: {fault['detail']}" for fault in faults[:10]),
            errors=faults,
        )
    return values


def only_once(name: str, given: list[str], known: Iterable[str]) -> str:
    """Return the one text that is given for a parameter that there is.

    Raises:
        BadParameter: There is no such parameter, or it is given twice.
    """
    if name not in known:
        raise BadParameter(f"There is no such parameter; there are: {', '.join(known)}.")
    if len(given) > 1:
        raise BadParameter("This may be given once.")
    return given[0]


def _value(name: str, given: list[str]) -> object:
    if name == "status":
        return _statuses(given)
    return _single(name, only_once(name, given, NAMES))


def _single(name: str, value: str) -> object:
    if name == "cursor":
        try:
            return read_cursor(value)
        except BadCursor as error:
            raise BadParameter(str(error)) from None
    if name == "page_size":
        return size(value)
    return _moment(value) if name in TIMES else _text(value)


def _statuses(given: list[str]) -> tuple[Status, ...]:
    words = [word for value in given for word in value.split(",")]
    unknown = [word for word in words if word not in set(Status)]
    if unknown:
        raise BadParameter(f"A status is one of: {', '.join(Status)}.")
    return tuple(dict.fromkeys(Status(word) for word in words))


def _text(value: str) -> str:
    if not value or len(value) > MAX_TEXT or "\x00" in value:
        raise BadParameter(f"This must be a text of 1 to {MAX_TEXT} characters.")
    return value


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadParameter(
            "This must be a moment with its zone, as 2026-12-01T08:00:00Z; a + must be sent as %2B."
        )
    return moment


def size(value: str) -> int:
    """Return how many results a page may have.

    Raises:
        BadParameter: It isn't a number, or too small or large.
    """
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(MAX_SIZE))):
        raise BadParameter(f"This must be a whole number from 1 to {MAX_SIZE}.")
    if not 1 <= int(value) <= MAX_SIZE:
        raise BadParameter(f"This must be from 1 to {MAX_SIZE}.")
    return int(value)
