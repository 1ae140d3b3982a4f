"""settings.JOB_SCHEDULES: each entry read into a value, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from jobs import conf, json_values, registry
from jobs.errors import InvalidParams
from jobs.schedules import cron
from jobs.schedules.cron import Rule
from jobs.spec import JobSpec

KEYS = ("job", "cron", "every", "timezone", "params", "queue", "enabled")
# rq's rule for ids (the entry is "schedule-<name>"), and the row's length.
_NAME = re.compile(r"[A-Za-z0-9_\-]{1,100}")
MAX_CRON_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One schedule as the settings state it."""

    name: str
    job: str
    rule: Rule
    params: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""  # empty: the job class's, then the settings'
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something wrong with one entry, and what to do about it."""

    check_id: str
    message: str
    hint: str


def entries() -> Mapping[Any, Any]:
    """Return settings.JOB_SCHEDULES; empty where it is missing or no mapping."""
    given = getattr(settings, "JOB_SCHEDULES", {})
    return given if isinstance(given, Mapping) else {}


def sound() -> list[Declared]:
    """Return the schedules that are declared without a flaw, by name."""
    return [
        read(name, entry)
        for name, entry in sorted(entries().items(), key=lambda item: str(item[0]))
        if not any(flaws(name, entry))
    ]


def read(name: str, entry: Mapping[str, Any]) -> Declared:
    """Return the value of an entry without flaws."""
    return Declared(
        name=name,
        job=entry["job"],
        rule=_rule(entry),
        params=entry.get("params") or {},
        queue=entry.get("queue") or "",
        enabled=entry.get("enabled", True),
    )


def flaws(name: Any, entry: Any) -> Iterator[Flaw]:
    """Yield what makes an entry unreadable; such a schedule can't be registered.

    E011: the name. E012: not a mapping, or an unknown key. E013: job, params, queue or enabled is
    of the wrong kind. E014: cron, every or timezone.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        yield Flaw(
            check_id="jobs.E011",
            message=f"JOB_SCHEDULES: {name!r} is no name for a schedule.",
            hint="Use 1 to 100 letters, digits, '_' and '-'.",
        )
    if not isinstance(entry, Mapping):
        yield Flaw(
            check_id="jobs.E012",
            message=f"JOB_SCHEDULES[{name!r}] is a {type(entry).__name__}, not a dict.",
            hint=f"Its keys are: {', '.join(KEYS)}.",
        )
        return
    for key in sorted(set(map(str, entry)) - set(KEYS)):
        yield Flaw(
            check_id="jobs.E012",
            message=f"JOB_SCHEDULES[{name!r}] has an unknown key: {key!r}.",
            hint=f"Known are: {', '.join(KEYS)}.",
        )
    yield from _flaws_of_kind(name, entry)
    yield from _flaws_of_rule(name, entry)


def misfits(declared: Declared) -> Iterator[Flaw]:
    """Yield why a tick of this schedule would be refused, as things stand.

    W011: no such job class. W012: params that don't fit it. W013: no such queue.
    """
    spec = registry.find(declared.job)
    if spec is None:
        names = ", ".join(spec.name for spec in registry.specs()) or "none"
        yield Flaw(
            check_id="jobs.W011",
            message=f"JOB_SCHEDULES[{declared.name!r}]: no job class is named {declared.job!r}.",
            hint=f"Registered are: {names}.",
        )
    else:
        fault = _params_fault(spec, declared.params)
        if fault:
            yield Flaw(
                check_id="jobs.W012",
                message=f"JOB_SCHEDULES[{declared.name!r}]: {fault}",
                hint="Every tick would be refused: correct the params.",
            )
    queues = conf.current().queues
    if declared.queue and declared.queue not in queues:
        yield Flaw(
            check_id="jobs.W013",
            message=f"JOB_SCHEDULES[{declared.name!r}]: no queue is named {declared.queue!r}.",
            hint=f"Queues are: {', '.join(queues)}.",
        )


def _params_fault(spec: JobSpec, params: Mapping[str, Any]) -> str:
    try:
        spec.params.check(params)
    except InvalidParams as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the author's own validator; other schedules must start
        text = f"checking the params of {spec.name} raised {type(error).__name__}: {error}"
        return json_values.scrubbed(text, spec.params.secrets(params))
    return ""


def _flaws_of_kind(name: Any, entry: Mapping[str, Any]) -> Iterator[Flaw]:
    wanted = {
        "job": isinstance(entry.get("job"), str) and bool(entry["job"]),
        "params": isinstance(entry.get("params", {}), dict)
        and not any(json_values.faults(entry.get("params", {}))),
        "queue": isinstance(entry.get("queue"), str | None),
        "enabled": isinstance(entry.get("enabled", True), bool),
    }
    hints = {
        "job": 'Name the job class: "job": "ImportCsv".',
        "params": "A dict of JSON values: text, numbers, lists, dicts, True, False, None.",
        "queue": "The name of a queue in RQ_QUEUES; leave it out for the job class's own.",
        "enabled": "True or False.",
    }
    for key, is_right in wanted.items():
        if not is_right:
            yield Flaw(
                check_id="jobs.E013",
                message=f"JOB_SCHEDULES[{name!r}]: {key} is missing or of the wrong kind.",
                hint=hints[key],
            )


def _flaws_of_rule(name: Any, entry: Mapping[str, Any]) -> Iterator[Flaw]:
    given = (entry.get("cron", ""), entry.get("timezone", ""), entry.get("every"))
    if not (
        isinstance(given[0], str)
        and len(given[0]) <= MAX_CRON_LENGTH
        and isinstance(given[1], str)
        and isinstance(given[2], timedelta | None)
    ):
        fault = "cron and timezone are short texts, every is a timedelta"
    else:
        fault = cron.fault(_rule(entry))
    if fault:
        yield Flaw(
            check_id="jobs.E014",
            message=f"JOB_SCHEDULES[{name!r}]: {fault}.",
            hint='For example "cron": "0 2 * * mon-fri", "timezone": "Europe/Berlin"; or '
            '"every": timedelta(minutes=15). Names such as @daily are not known.',
        )


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        crons=(entry["cron"],) if entry.get("cron") else (),
        every=entry.get("every"),
        timezone=entry.get("timezone") or settings.TIME_ZONE,
    )
