"""Pages: how many on one, and the address of the next."""

from __future__ import annotations

from django.http import HttpRequest

from jobs.insights.places import Place, cursor

DEFAULT_SIZE = 50
MAX_SIZE = 200


def next_address(request: HttpRequest, place: Place | None) -> str | None:
    """Return the address of the next page, with the filters of this one; None after the last."""
    return None if place is None else address_from(request, cursor(place))


def address_from(request: HttpRequest, text: str) -> str:
    """Return the address of the page that begins behind the place a cursor stands for."""
    query = request.GET.copy()
    query["cursor"] = text
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
