"""Places in the list of all jobs, newest first, and the opaque texts that stand for them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

_MAX_CURSOR = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the list of all jobs, newest first: that of one job."""

    created_at: datetime
    job_id: UUID


class BadCursor(ValueError):
    """This is no cursor: follow `next` as it was given."""

    def __init__(self) -> None:
        super().__init__("This is no cursor: follow `next` as it was given.")


def cursor(place: Place) -> str:
    """Return an opaque text that stands for `place`."""
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
