"""Each key of a schedule's entry by itself: how its value is read, and what to write instead."""

from __future__ import annotations

import copy
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings

from jobs import json_values
from jobs.models import Schedule
from jobs.schedules.moments import cron, spans, zones
from jobs.schedules.moments.cron import Rule

# rq's rule for ids (the entry is "schedule-<name>"), and the row's length.
NAME = re.compile(r"[A-Za-z0-9_\-]{1,100}")
MAX_WORD = 100  # characters of a job class's name, a queue, a cron line
MAX_LINES = 50

_NOTHING = ("", None)  # a form's and a program's word for a key that is left out
_YEARS = range(1970, 9_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: raises ValueError from `read`, whose text continues "<key> ..."."""

    read: Callable[[Any], Any]
    check_id: str
    hint: str  # what to do where it is wrong


def _word(value: object) -> str:
    if value in _NOTHING:
        return ""
    if not isinstance(value, str) or any(json_values.faults(value)):
        raise ValueError(f"is {reprlib.repr(value)}, no text")
    if len(value) > MAX_WORD:
        raise ValueError(f"is longer than {MAX_WORD} characters")
    return value


def _lines(value: object) -> tuple[str, ...]:
    """One text, of one or several lines, or a list of them; each once, in order."""
    texts = [] if value in _NOTHING else [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"is {reprlib.repr(value)}, neither a text nor a list of texts")
    lines = [" ".join(line.split()) for text in texts for line in text.splitlines()]
    found = tuple(dict.fromkeys(filter(None, lines)))
    if len(found) > MAX_LINES:
        raise ValueError(f"has more than {MAX_LINES} lines")
    for line in found:
        fault = _fault_of_line(line)
        if fault:
            raise ValueError(f"can't be read: {fault}")
    return found


def _fault_of_line(line: str) -> str:
    if len(line) > MAX_WORD:
        return f"a line is longer than {MAX_WORD} characters"
    return cron.fault(Rule(crons=(line,)))


def _span(value: object) -> timedelta:
    try:
        return spans.read(value)
    except ValueError as error:
        raise ValueError(f"can't be read: {error}") from None


def _every(value: object) -> timedelta | None:
    if value in _NOTHING:
        return None
    every = _span(value)
    fault = cron.fault(Rule(every=every))
    if fault:
        raise ValueError(f"can't be read: {fault}")
    return every


def _zone(value: object) -> str:
    name = settings.TIME_ZONE if value in _NOTHING else value
    if zones.find(name) is None:
        raise ValueError(f"is {reprlib.repr(value)}, which is no time zone")
    return str(name)


def _moment(value: object) -> date | None:
    """A moment, or one without zone, or a day: the schedule's zone says when those are."""
    if value in _NOTHING:
        return None
    found = _parsed_moment(value) if isinstance(value, str) else value
    if not isinstance(found, date) or found.year not in _YEARS:
        raise ValueError(
            f"is {reprlib.repr(value)}, no moment between {_YEARS[0]} and {_YEARS[-1]}"
        )
    if found is value and isinstance(found, datetime) and found.utcoffset() is None:
        raise ValueError(f"is {reprlib.repr(value)}, a datetime without a zone")
    return found


def _parsed_moment(text: str) -> date | None:
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text.strip())
        except ValueError:
            continue
    return None


def _params(value: object) -> dict[str, Any]:
    return _steps(value) or {}


def _overlap(value: object) -> str:
    if value not in Schedule.Overlap.values:
        raise ValueError(f"is {reprlib.repr(value)}, no policy")
    return str(value)


def _catch_up(value: object) -> str:
    if value in ("none", "last"):
        return str(value)
    window = _span(value)
    if not window or window.microseconds:
        raise ValueError(f"is {reprlib.repr(value)}, no window of whole seconds")
    return spans.written(window)


def _jitter(value: object) -> timedelta:
    return timedelta(0) if value in _NOTHING else _span(value)


def _enabled(value: object) -> bool:
    if value is not True and value is not False:
        raise ValueError(f"is {reprlib.repr(value)}, neither True nor False")
    return value


def _steps(value: object) -> dict[str, Any] | None:
    match value:
        case None:
            return None
        case Mapping():
            found = dict(value)
        case _:
            raise ValueError(f"is a {type(value).__name__}, no dict")
    for fault in json_values.faults(found):
        raise ValueError(f"can't be kept: {fault['param']} {fault['message']}")
    return copy.deepcopy(found)  # who changes a row's doesn't change the settings


_A_MOMENT = (
    'Write "2026-12-01T08:00+01:00"; without an offset, or as a day alone, it is read in the '
    "schedule's time zone. A datetime needs its tzinfo."
)
_A_SPAN = 'a timedelta or a text such as "1h 30m", "15s" or "2d"'

# A default stands in the entry's place where its key is missing.
DEFAULTS: Mapping[str, Any] = {"overlap": "skip", "catch_up": "last", "enabled": True}

KEYS: Mapping[str, Key] = {
    "job": Key(
        read=_word,
        check_id="jobs.E013",
        hint='Name the job class: "job": "ImportCsv".',
    ),
    "steps": Key(
        read=_steps,
        check_id="jobs.E017",
        hint='For example {"load": {"job": "Load"}, "sum": {"job": "Sum", "after": ["load"]}}.',
    ),
    "cron": Key(
        read=_lines,
        check_id="jobs.E014",
        hint='For example "0 2 * * mon-fri", or a list of such lines. Names such as @daily are not '
        "known.",
    ),
    "every": Key(read=_every, check_id="jobs.E014", hint=f"Give {_A_SPAN}."),
    "timezone": Key(
        read=_zone,
        check_id="jobs.E014",
        hint='A name such as "Europe/Berlin" or "UTC"; leave it out for TIME_ZONE.',
    ),
    "start_at": Key(read=_moment, check_id="jobs.E015", hint=_A_MOMENT),
    "end_at": Key(read=_moment, check_id="jobs.E015", hint=_A_MOMENT),
    "params": Key(
        read=_params,
        check_id="jobs.E013",
        hint="A dict of JSON values: text, numbers, lists, dicts, True, False, None.",
    ),
    "queue": Key(
        read=_word,
        check_id="jobs.E013",
        hint="The name of a queue in RQ_QUEUES; leave it out for the job class's own.",
    ),
    "overlap": Key(
        read=_overlap,
        check_id="jobs.E016",
        hint=f"One of: {', '.join(Schedule.Overlap.values)}.",
    ),
    "catch_up": Key(
        read=_catch_up,
        check_id="jobs.E016",
        hint=f'Write "none", "last", or how far back all are made: {_A_SPAN}.',
    ),
    "jitter": Key(
        read=_jitter, check_id="jobs.E016", hint=f"Give {_A_SPAN}, no longer than its interval."
    ),
    "enabled": Key(read=_enabled, check_id="jobs.E013", hint="True or False."),
}
