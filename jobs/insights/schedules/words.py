"""A schedule's rule in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import cron_descriptor

_WORDS = cron_descriptor.Options()
_WORDS.use_24hour_time_format = True
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def in_words(crons: Sequence[str], every: timedelta | None = None) -> str:
    """Return when a rule is due: "At 01:00, Monday through Friday"; "Every 1 h 30 min".

    Several cron lines are joined by "; ". A line that the describer has no words for stays as it
    is written.
    """
    if every is not None:
        return f"Every {_length(every)}"
    return "; ".join(_line(cron) for cron in crons)


def _line(cron: str) -> str:
    try:
        return str(cron_descriptor.get_description(cron, _WORDS))
    except (
        cron_descriptor.FormatException,
        cron_descriptor.MissingFieldException,
        cron_descriptor.WrongArgumentException,
    ):
        return cron  # cronsim takes more than the describer has words for


def _length(every: timedelta) -> str:
    seconds = every.total_seconds()
    if seconds != int(seconds):
        return f"{seconds:g} s"
    left, parts = int(seconds), []
    for unit_seconds, unit in _UNITS:
        count, left = divmod(left, unit_seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
