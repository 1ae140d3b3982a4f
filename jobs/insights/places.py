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
    return opaque(f"{place.created_at.isoformat()}|{place.job_id}")


def read_cursor(text: str) -> Place:
    """Return the place that `text` stands for.

    Raises:
        BadCursor: It stands for none.
    """
    created_at, _, job_id = read_opaque(text).partition("|")
    try:
        return Place(created_at=read_moment(created_at), job_id=UUID(job_id))
    except ValueError:
        raise BadCursor from None


def opaque(text: str) -> str:
    """Return a cursor that stands for `text`, which is ASCII."""
    return base64.urlsafe_b64encode(text.encode("ascii")).decode().rstrip("=")


def read_opaque(text: str) -> str:
    """Return what a cursor stands for; printable ASCII.

    Raises:
        BadCursor: It stands for nothing.
    """
    try:
        if len(text) > _MAX_CURSOR:
            raise BadCursor
        padded = text + "=" * (-len(text) % 4)
        found = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise BadCursor from None
    if not found.isprintable():
        raise BadCursor
    return found


def read_moment(text: str) -> datetime:
    """Return the moment that a part of a cursor is.

    Raises:
        BadCursor: It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadCursor from None
    if moment.tzinfo is None:
        raise BadCursor
    return moment
