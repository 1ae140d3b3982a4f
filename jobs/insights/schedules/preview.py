"""When a schedule would run, were it as somebody is just writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.insights.schedules.moments import next_moments
from jobs.insights.schedules.words import in_words
from jobs.schedules import declaration
from jobs.schedules.declaration import Flaw

_NAME = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The rule in words and its next moments, or what is wrong."""

    words: str
    timezone: str
    moments: tuple[datetime, ...]  # empty where it comes no more
    flaws: tuple[Flaw, ...]


def preview(entry: Mapping[str, Any], *, now: datetime, count: int = 5) -> Preview:
    """Return what an entry of JOB_SCHEDULES says of time; its job and params don't matter.

    Args:
        entry: As `declaration.read` takes it; perhaps half written.
        now: From when on moments are looked for.
        count: How many.
    """
    of_time = {key: value for key, value in entry.items() if key not in {"job", "steps", "params"}}
    declared, flaws = declaration.read(_NAME, {**of_time, "job": _NAME})
    if declared is None:
        return Preview(words="", timezone="", moments=(), flaws=tuple(flaws))
    rule = declared.rule
    return Preview(
        words=in_words(rule.crons, rule.every),
        timezone=rule.timezone,
        moments=tuple(next_moments(rule, now, count)),
        flaws=(),
    )
