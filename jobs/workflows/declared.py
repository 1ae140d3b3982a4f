"""Workflows written as data, as in settings: checked with clear texts, read into the same value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any

from jobs import registry
from jobs.errors import InvalidWorkflow
from jobs.statuses import OnParentFailure
from jobs.workflows import build
from jobs.workflows.build import Step, Workflow

KEYS = ("job", "params", "queue", "tags", "after", "on_parent_failure")


def read(steps: Mapping[str, Any]) -> Workflow:
    """Return the workflow that `steps` declare: {name: {"job": ..., "after": [...], ...}}.

    Raises:
        InvalidWorkflow: With the first of `faults`.
        UnknownJob: No such job class is registered.
    """
    for fault in faults(steps):
        raise InvalidWorkflow(fault)
    return Workflow({name: _step(declared) for name, declared in steps.items()})


def readable(steps: object) -> dict[str, Mapping[str, Any]]:
    """Return those of a row's steps that are some: it may have been written by hand."""
    given = steps.items() if isinstance(steps, Mapping) else ()
    return {name: step for name, step in given if isinstance(step, Mapping)}


def levels(steps: Mapping[str, Any]) -> list[list[str]]:
    """Return the names of sound steps as they may run: those of a level side by side."""
    sorter = TopologicalSorter(
        {name: tuple(step.get("after") or ()) for name, step in steps.items()}
    )
    sorter.prepare()
    found = []
    while ready := sorter.get_ready():
        found.append(sorted(ready, key=list(steps).index))
        sorter.done(*ready)
    return found


def _step(declared: Mapping[str, Any]) -> Step:
    return Step(
        spec=registry.get(declared["job"]),
        params=declared.get("params") or {},
        queue=declared.get("queue") or None,
        tags=tuple(declared.get("tags") or ()),
        parents=tuple(declared.get("after") or ()),
        on_parent_failure=declared.get("on_parent_failure") or OnParentFailure.CANCEL,
    )


def faults(steps: Any) -> list[str]:
    """Return what is wrong with the form of declared steps and with their graph."""
    if not isinstance(steps, Mapping):
        return ['steps must be a mapping: {"load": {"job": "Load"}, ...}.']
    found = [
        f"Step {name}: {fault}" for name, step in steps.items() for fault in _step_faults(step)
    ]
    wrong = [repr(name) for name in steps if not isinstance(name, str)]
    if wrong:
        found.append(f"The name of a step is text, not {', '.join(wrong)}.")
    if found:
        return found
    return build.faults({name: tuple(step.get("after") or ()) for name, step in steps.items()})


def _step_faults(step: Any) -> list[str]:
    if not isinstance(step, Mapping):
        return ['it must be a mapping: {"job": "Load", "params": {...}, "after": [...]}.']
    found = [f"{key!r} is unknown. Keys are: {', '.join(KEYS)}." for key in step if key not in KEYS]
    if not isinstance(step.get("job"), str) or not step["job"]:
        found.append('"job" must name a job class.')
    if not isinstance(step.get("params") or {}, Mapping):
        found.append('"params" must be a mapping.')
    if not isinstance(step.get("queue") or "", str):
        found.append('"queue" must be the name of a queue.')
    found += [
        f'"{key}" must be a list of texts.'
        for key in ("after", "tags")
        if not _are_texts(step.get(key) or ())
    ]
    if step.get("on_parent_failure") not in (None, *OnParentFailure):
        found.append('"on_parent_failure" must be "cancel" or "run".')
    return found


def _are_texts(value: Any) -> bool:
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes | Mapping)
        and all(isinstance(each, str) for each in value)
    )
