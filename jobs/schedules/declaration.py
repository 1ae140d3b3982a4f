"""A schedule as settings, a form or a request state it: read into a value, or refused."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import Any

from django.conf import settings

from jobs.models import Schedule
from jobs.schedules.keys import DEFAULTS, KEYS, NAME
from jobs.schedules.moments import cron, missed, spans, zones
from jobs.schedules.moments.cron import Rule
from jobs.workflows import declared as workflow
from jobs.workflows.build import MAX_EDGES

Overlap = Schedule.Overlap

# The shortest distance of a rule's moments is looked for in so many of them, from this day on.
_LOOKED_AT = 60
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_A_YEAR = timedelta(days=366)
_FIELDS = 5  # of a cron line without seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One schedule without a flaw of its own."""

    name: str
    job: str = ""  # this, or steps
    steps: Mapping[str, Any] | None = None
    rule: Rule
    params: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""  # empty: the job class's, then the settings'
    overlap: str = "skip"
    catch_up: str = "last"
    jitter: timedelta = timedelta(0)
    enabled: bool = True

    def columns(self) -> dict[str, Any]:
        """Return what a Schedule row says of it, by column."""
        return {
            "job_class": self.job,
            "steps": None if self.steps is None else dict(self.steps),
            "crons": list(self.rule.crons),
            "every": self.rule.every,
            "timezone": self.rule.timezone,
            "start_at": self.rule.start_at,
            "end_at": self.rule.end_at,
            "params": dict(self.params),
            "queue": self.queue,
            "overlap": self.overlap,
            "catch_up": self.catch_up,
            "jitter": self.jitter,
            "enabled": self.enabled,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something wrong with one key of an entry, and what to do about it."""

    check_id: str
    key: str  # "name" for the schedule's name; empty: the entry as a whole
    message: str  # without an end stop
    hint: str

    @property
    def is_misfit(self) -> bool:
        """Whether the entry can be read, and only its jobs couldn't be made as things stand."""
        return self.check_id.startswith("jobs.W")

    def in_settings(self, name: object) -> str:
        """What is wrong, for people who look for it in the settings."""
        return f"JOB_SCHEDULES[{reprlib.repr(name)}]: {self.message}."

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, for people at a form."""
        return f"{self.message}. {self.hint}"


def entries() -> Mapping[Any, Any]:
    """Return settings.JOB_SCHEDULES; empty where it is missing or no mapping."""
    given = getattr(settings, "JOB_SCHEDULES", {})
    return given if isinstance(given, Mapping) else {}


def sound() -> list[Declared]:
    """Return the schedules of the settings that are declared without a flaw, by name."""
    read_ones = (read(name, entry)[0] for name, entry in entries().items())
    return sorted(filter(None, read_ones), key=lambda declared: declared.name)


def read(name: object, entry: object) -> tuple[Declared | None, list[Flaw]]:
    """Return what an entry states, or None and every flaw that keeps it from being read.

    E011: the name. E012: not a mapping, or an unknown key. E013: job, params, queue or enabled.
    E014: cron, every or timezone. E015: start_at or end_at. E016: overlap, catch_up or jitter.
    E017: steps.

    Args:
        name: The schedule's name.
        entry: Keys of KEYS to values, as Python or as JSON has them: "15m" for a timedelta, ISO
            8601 for a moment. None and, but for enabled, overlap and catch_up, an empty text stand
            for a key that is left out.
    """
    flaws = list(_flaws_of_name(name))
    if not isinstance(entry, Mapping):
        kind = type(entry).__name__
        flaws.append(_flaw("", "jobs.E012", f"is a {kind}, not a dict", _keys_hint()))
        return None, flaws
    flaws += _flaws_of_keys(entry)
    values: dict[str, Any] = {}
    for key, its in KEYS.items():
        try:
            values[key] = its.read(entry.get(key, DEFAULTS.get(key)))
        except ValueError as error:
            flaws.append(_flaw(key, its.check_id, f"{key} {error}", its.hint))
    if flaws:
        return None, flaws
    declared = _declared(str(name), values)
    flaws = list(_flaws_of_whole(declared))
    return (None, flaws) if flaws else (declared, [])


def entry_of(row: Schedule) -> dict[str, Any]:
    """Return a row as the entry that `read` makes the same row of; JSON throughout."""
    entry: dict[str, Any] = {
        "job": row.job_class or None,
        "steps": row.steps,
        "cron": list(row.crons) or None,
        "every": None if row.every is None else spans.written(row.every),
        "timezone": row.timezone,
        "start_at": None if row.start_at is None else row.start_at.isoformat(),
        "end_at": None if row.end_at is None else row.end_at.isoformat(),
        "params": row.params or None,
        "queue": row.queue or None,
        "overlap": row.overlap,
        "catch_up": row.catch_up,
        "jitter": spans.written(row.jitter) if row.jitter else None,
        "enabled": row.enabled,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _flaw(key: str, check_id: str, message: str, hint: str) -> Flaw:
    return Flaw(check_id=check_id, key=key, message=message, hint=hint)


def _keys_hint() -> str:
    return f"Its keys are: {', '.join(KEYS)}."


def _flaws_of_name(name: object) -> Iterator[Flaw]:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        message = f"{reprlib.repr(name)} is no name for a schedule"
        yield _flaw("name", "jobs.E011", message, "Use 1 to 100 letters, digits, '_' and '-'.")


def _flaws_of_keys(entry: Mapping[Any, Any]) -> Iterator[Flaw]:
    for key in sorted(set(map(str, entry)) - set(KEYS)):
        yield _flaw("", "jobs.E012", f"has an unknown key: {reprlib.repr(key)}", _keys_hint())


def _declared(name: str, values: Mapping[str, Any]) -> Declared:
    zone = values["timezone"]
    rule = Rule(
        crons=values["cron"],
        every=values["every"],
        timezone=zone,
        start_at=_moment(values["start_at"], zone, time.min),
        end_at=_moment(values["end_at"], zone, time.max),
    )
    rest = ("job", "steps", "params", "queue", "overlap", "catch_up", "jitter", "enabled")
    return Declared(name=name, rule=rule, **{key: values[key] for key in rest})


def _moment(given: date | None, zone: str, of_a_day: time) -> datetime | None:
    if given is None:
        return None
    if not isinstance(given, datetime):
        given = datetime.combine(given, of_a_day, tzinfo=zones.zone(zone))
    if given.utcoffset() is None:
        given = given.replace(tzinfo=zones.zone(zone))
    return given.astimezone(UTC)


def _flaws_of_whole(declared: Declared) -> Iterator[Flaw]:
    if bool(declared.job) == (declared.steps is not None):
        said = "both job and steps" if declared.job else "neither job nor steps"
        yield _flaw("job", "jobs.E013", f"names {said}", KEYS["job"].hint)
    yield from _flaws_of_rule(declared.rule, declared.jitter)
    if declared.steps is None:
        return
    if declared.params:
        yield _flaw(
            "params",
            "jobs.E017",
            "params stand beside steps",
            "Put them into the steps' own params.",
        )
    for fault in workflow.faults(declared.steps):
        yield _flaw("steps", "jobs.E017", f"steps: {fault.rstrip('.')}", KEYS["steps"].hint)
    yield from _flaws_of_waits(declared, declared.steps)


def _flaws_of_waits(declared: Declared, steps: Mapping[str, Any]) -> Iterator[Flaw]:
    """Yield what is wrong where the first steps may wait for all of the run before."""
    waits = declared.overlap != Overlap.SKIP or declared.catch_up not in {missed.NONE, missed.LAST}
    if declared.overlap == Overlap.ALLOW or not waits:
        return
    firsts = sum(not (isinstance(step, Mapping) and step.get("after")) for step in steps.values())
    if firsts * len(steps) > MAX_EDGES:
        message = (
            f"steps: {firsts:,} of {len(steps):,} follow no other, and as overlap and catch_up say "
            f"each may wait for all of the run before: {firsts * len(steps):,} ways, at most "
            f"{MAX_EDGES:,}"
        )
        yield _flaw("steps", "jobs.E017", message, "Put one step before them all.")


def _flaws_of_rule(rule: Rule, jitter: timedelta) -> Iterator[Flaw]:
    if bool(rule.crons) == (rule.every is not None):
        said = "both cron and every" if rule.crons else "neither cron nor every"
        yield _flaw("cron", "jobs.E014", f"names {said}", "Give one of the two.")
    elif rule.start_at and rule.end_at and rule.start_at > rule.end_at:
        message = "end_at is earlier than start_at"
        yield _flaw("end_at", "jobs.E015", message, "No moment would ever come: swap them.")
    elif fault := cron.fault(rule):
        yield _flaw("end_at", "jobs.E015", fault, "Or leave one of the two out.")
    elif jitter > _unit(rule) and jitter > (shortest := _shortest(rule) or jitter):
        message = f"jitter ({spans.written(jitter)}) is longer than the {spans.written(shortest)}"
        yield _flaw(
            "jitter",
            "jobs.E016",
            f"{message} between two of its moments",
            "One run could start before the run before it: shorten it.",
        )


def _shortest(rule: Rule) -> timedelta | None:
    """Return the shortest distance between moments of the rule, as far as a look tells."""
    if rule.every is not None:
        return rule.every
    after = (rule.start_at or _SOME_DAY) - spans.MICROSECOND
    some: Iterable[datetime] = islice(
        cron.moments(rule, after=after, until=after + _A_YEAR), _LOOKED_AT
    )
    return min((later - earlier for earlier, later in pairwise(some)), default=None)


def _unit(rule: Rule) -> timedelta:
    """Return what the distance between two moments of the rule is never below."""
    names_seconds = any(len(line.split()) > _FIELDS for line in rule.crons)
    return timedelta(seconds=1) if names_seconds or rule.every else timedelta(minutes=1)
