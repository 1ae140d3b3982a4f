"""Pages of jobs by cursor: an opaque text that says after which job a page begins."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest

from jobs.insights.search import Place

DEFAULT_SIZE = 50
MAX_SIZE = 200
_MAX_CURSOR = 200


class BadCursor(ValueError):
    """This is no cursor: follow `next` as it was given."""

    def __init__(self) -> None:
        super().__init__("This is no cursor: follow `next` as it was given.")


def cursor(place: Place) -> str:
    """Return the cursor of `place`."""
    text = f"{place.created_at.isoformat()}|{place.job_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Place:
    """Return the place that `text` stands for.

    Raises:
        BadCursor: It stands for none.
    """
    try:
        if len(text) > _MAX_CURSOR:
            raise BadCursor
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        created_at, _, job_id = raw.decode("ascii").partition("|")
        moment = datetime.fromisoformat(created_at)
        place = Place(created_at=moment, job_id=UUID(job_id))
    except (binascii.Error, ValueError):
        raise BadCursor from None
    if moment.tzinfo is None:
        raise BadCursor
    return place


def next_address(request: HttpRequest, place: Place | None) -> str | None:
    """Return the address of the next page, with the filters of this one; None after the last."""
    if place is None:
        return None
    query = request.GET.copy()
    query["cursor"] = cursor(place)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
