"""What a schedule gives to its jobs, as people may see it: the redacted params are hidden."""

from __future__ import annotations

from typing import Any

from jobs import registry
from jobs.models import Schedule
from jobs.schedules import history


def shown_params(row: Schedule) -> dict[str, Any]:
    """Return a schedule's params with the redacted ones hidden."""
    return registry.shown_params(row.job_class, row.params) if row.params else {}


def shown_steps(row: Schedule) -> dict[str, Any] | None:
    """Return a workflow's steps with the redacted params hidden; None where it makes one job."""
    return None if row.steps is None else history.shown_steps(row.steps)
