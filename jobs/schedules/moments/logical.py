"""The names in a schedule's params that stand for its logical time: read, and replaced literally.

Only text in braces that is one of `NAMES` is replaced, wherever it stands in a text; nothing is
evaluated, and other braces stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from jobs.schedules.moments import cron, zones
from jobs.schedules.moments.cron import Rule

# What each stands for is said in docs/schedules.md.
NAMES = (
    "logical_time",
    "logical_date",
    "previous_logical_time",
    "previous_logical_date",
    "next_logical_time",
    "next_logical_date",
)
_KNOWN = re.compile(r"\{(" + "|".join(NAMES) + r")\}")
_MEANT = re.compile(r"\{(\s*\w*logical_\w*\s*)\}")


def filled(params: Mapping[str, Any], rule: Rule, logical_time: datetime) -> dict[str, Any]:
    """Return `params` with each name in its texts replaced, in lists and dicts too; keys stay.

    A time is ISO 8601 in the rule's zone ("2026-12-01T02:00:00+01:00"), a date its day there
    ("2026-12-01"). The previous and the next are the rule's moments beside it; where there is none
    the text is empty.
    """
    say = partial(_said, rule, logical_time)
    return {key: _filled(value, say) for key, value in params.items()}


def unknown(params: Any) -> Iterator[str]:
    """Yield what stands in braces in the texts of `params` and looks like a name, but is none."""
    match params:
        case str():
            yield from (name for name in _MEANT.findall(params) if name not in NAMES)
        case Mapping():
            for value in params.values():
                yield from unknown(value)
        case list() | tuple():
            for value in params:
                yield from unknown(value)
        case _:
            return


def _filled(value: Any, say: Callable[[re.Match[str]], str]) -> Any:
    match value:
        case str():
            return _KNOWN.sub(say, value)
        case Mapping():
            return {key: _filled(item, say) for key, item in value.items()}
        case list() | tuple():
            return [_filled(item, say) for item in value]
        case _:
            return value


def _said(rule: Rule, logical_time: datetime, match: re.Match[str]) -> str:
    which, _, what = match[1].rpartition("logical_")
    moment: datetime | None = logical_time
    if which == "previous_":
        moment = cron.previous_before(rule, logical_time)
    elif which == "next_":
        moment = cron.next_after(rule, logical_time)
    if moment is None:
        return ""
    local = moment.astimezone(zones.zone(rule.timezone))
    return local.date().isoformat() if what == "date" else local.isoformat()
