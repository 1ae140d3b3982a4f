"""What is kept of each change to a schedule: who made it, when, and what was and is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jobs import json_values, registry
from jobs.models import Schedule, ScheduleChange
from jobs.schedules import declaration
from jobs.values import value
from jobs.workflows import declared

MAX_NOTE = 500  # characters
_MAX_BY = 150


@value
class Hand:
    """Who does something to schedules, when and why."""

    by: str
    at: datetime  # by the database's clock
    note: str = ""  # why, in their words


def record(
    schedule_name: str, verb: str, hand: Hand, what: Mapping[str, Any] | None = None
) -> None:
    """Keep that something was done. Call inside the transaction that does it.

    Args:
        schedule_name: Whose history it is.
        verb: What was done, in the past: "paused".
        hand: Who did it.
        what: {key: [old, new]}, without the values of redacted params.
    """
    record_all([(schedule_name, what or {})], verb, hand)


def record_all(changes: Iterable[tuple[str, Mapping[str, Any]]], verb: str, hand: Hand) -> None:
    """Do what `record` does for several schedules, each with what was and is."""
    ScheduleChange.objects.bulk_create(
        [
            ScheduleChange(
                schedule_name=name,
                verb=verb,
                by=hand.by[:_MAX_BY],
                at=hand.at,
                what=dict(what),
                note=told(hand.note),
            )
            for name, what in changes
        ]
    )


def told(note: str) -> str:
    """Return what a person wrote as a row can hold it: one line, at most MAX_NOTE characters."""
    return " ".join(json_values.cleaned(note, limit_bytes=4 * MAX_NOTE).split())[:MAX_NOTE]


def difference(before: Schedule | None, after: Schedule | None) -> dict[str, list[Any]]:
    """Return the keys in which two states of a schedule differ: {key: [old, new]}.

    The values are those of an entry of settings.JOB_SCHEDULES; of redacted params none is shown,
    also where just that one has changed. None stands for a key that is left out, or for a schedule
    that isn't there yet or any more.
    """
    old, new = _stated(before), _stated(after)
    old_shown, new_shown = _shown(old), _shown(new)
    return {
        key: [old_shown.get(key), new_shown.get(key)]
        for key in (*old, *(key for key in new if key not in old))
        if old.get(key) != new.get(key)
    }


def shown_steps(steps: object) -> dict[str, Any]:
    """Return the steps of a row with the redacted params hidden, without what is no step."""
    return {
        name: {**step, "params": registry.shown_params(str(step.get("job")), step.get("params"))}
        for name, step in declared.readable(steps).items()
    }


def _stated(row: Schedule | None) -> dict[str, Any]:
    return {} if row is None else {"source": row.source, **declaration.entry_of(row)}


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(entry)
    if "params" in entry:
        shown["params"] = registry.shown_params(entry.get("job", ""), entry["params"])
    if "steps" in entry:
        shown["steps"] = shown_steps(entry["steps"])
    return shown
