"""The steps of a workflow as a form shows them: without secrets, which stay what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from jobs import registry
from jobs.schedules import history


def with_secrets(steps: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form sent, with the stored secrets where they were hidden.

    As in the form of one job a secret stays only where nothing else about it is changed: else
    somebody could send a secret that he doesn't know to a place of his choice.

    Args:
        steps: As JSON; of whatever form, which others check.
        stored: The steps as they stand on the row.

    Raises:
        ValidationError: A hidden secret stands in another step, or beside other params.
    """
    shown = history.shown_steps(stored)
    return {name: _step(name, step, stored, shown) for name, step in steps.items()}


def _step(name: str, step: Any, stored: Mapping[str, Any], shown: Mapping[str, Any]) -> Any:
    hidden = _hidden(step)
    if not hidden:
        return step
    before = shown.get(name, {})
    if (before.get("job"), before.get("params")) != (step["job"], step["params"]):
        raise forms.ValidationError(
            f"Step {name}: type {', '.join(hidden)} again: something else about it is changed."
        )
    return {**step, "params": stored[name]["params"]}


def _hidden(step: Any) -> list[str]:
    """Return which of its params stand there as a secret is shown."""
    if not isinstance(step, Mapping) or not isinstance(step.get("params"), Mapping):
        return []
    job = step.get("job")
    spec = registry.find(job) if isinstance(job, str) else None
    return [] if spec is None else spec.params.shown(step["params"])
