"""Pages of jobs: how many on one, and the address of the next."""

from __future__ import annotations

from django.http import HttpRequest

from jobs.insights.places import Place, cursor

DEFAULT_SIZE = 50
MAX_SIZE = 200


def next_address(request: HttpRequest, place: Place | None) -> str | None:
    """Return the address of the next page, with the filters of this one; None after the last."""
    if place is None:
        return None
    query = request.GET.copy()
    query["cursor"] = cursor(place)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
