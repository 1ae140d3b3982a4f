"""The steps of a schedule that makes a workflow: whether they can be read, and as what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

MAX_STEPS = 1_000
KEYS = ("job", "params", "queue", "after", "on_parent_failure")
_ON_PARENT_FAILURE = ("cancel", "run")


def faults(steps: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps these steps from being a workflow, each in a line for people.

    Args:
        steps: {step: {"job": str, "params": dict, "queue": str, "after": [step], ...}}.
    """
    if not 1 <= len(steps) <= MAX_STEPS:
        yield f"there are {len(steps)}, and may be 1 to {MAX_STEPS:,}"
        return
    found = [fault for name, step in steps.items() for fault in _faults_of(name, step, steps)]
    yield from found
    if found:
        return
    try:
        TopologicalSorter({name: after(step) for name, step in steps.items()}).prepare()
    except CycleError as error:
        yield f"they wait for each other in a circle: {' -> '.join(reversed(error.args[1]))}"


def after(step: Mapping[str, Any]) -> list[str]:
    """Return the names of the steps that a step waits for."""
    return list(step.get("after") or ())


def _faults_of(name: str, step: Any, steps: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(step, Mapping):
        yield f"{name!r} is a {type(step).__name__}, not a dict"
        return
    for key in sorted(step.keys() - set(KEYS)):
        yield f"{name!r} has an unknown key: {key!r}; known are {', '.join(KEYS)}"
    waits_for = step.get("after") or []
    is_right = {
        "job": isinstance(step.get("job"), str) and bool(step["job"]),
        "params": isinstance(step.get("params") or {}, Mapping),
        "queue": isinstance(step.get("queue"), str | None),
        "on_parent_failure": step.get("on_parent_failure", "cancel") in _ON_PARENT_FAILURE,
        "after": isinstance(waits_for, list) and all(isinstance(one, str) for one in waits_for),
    }
    for key in (key for key, right in is_right.items() if not right):
        yield f"{name!r}: {key} is missing or of the wrong kind"
    if is_right["after"]:
        for one in sorted(set(waits_for) - steps.keys()):
            yield f"{name!r} comes after {one!r}, and no step has that name"
