"""Lengths of time as people write them: "1h 30m", "15s", "2d"."""

from __future__ import annotations

import re
import reprlib
from datetime import timedelta

MICROSECOND = timedelta(microseconds=1)  # the shortest between two moments of the database
MAX_SPAN = timedelta(days=3_650)

_SPAN = re.compile(
    r"\s*(?:(\d{1,6})\s*d)?\s*(?:(\d{1,6})\s*h)?\s*(?:(\d{1,6})\s*m)?\s*(?:(\d{1,9}(?:\.\d{1,6})?)\s*s)?\s*",
    re.ASCII | re.IGNORECASE,
)
_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m"))


def read(value: object) -> timedelta:
    """Return the length of time that `value` states.

    Args:
        value: A timedelta, or days, hours, minutes and seconds in this order, at least one of them:
            "2d", "1h 30m", "15s", "0.5s".

    Raises:
        ValueError: It is neither, is below zero or above ten years; the message says what to write.
    """
    match value:
        case timedelta():
            span = value
        case str():
            span = _parsed(value)
        case _:
            raise ValueError(
                f"{reprlib.repr(value)} is no length of time: write '1h 30m', '15s' or '2d'"
            )
    if not timedelta(0) <= span <= MAX_SPAN:
        raise ValueError(f"{reprlib.repr(value)} is not between zero and {MAX_SPAN.days} days")
    return span


def written(span: timedelta) -> str:
    """Return a length of time as `read` takes it: "1h 30m"; "0s" for none."""
    parts = []
    for unit, letter in _UNITS:
        count, span = divmod(span, unit)
        if count:
            parts.append(f"{count}{letter}")
    if span or not parts:
        seconds = f"{span.total_seconds():.6f}".rstrip("0").rstrip(".")
        parts.append(f"{seconds}s")
    return " ".join(parts)


def _parsed(text: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(
            f"{reprlib.repr(text)} is no length of time: write '1h 30m', '15s' or '2d'"
        )
    days, hours, minutes = (int(part or 0) for part in match.group(1, 2, 3))
    seconds = float(match[4] or 0)
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
