"""The jobs of a schedule's moment: its only one, or those of its workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from jobs import registry
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.models import Schedule
from jobs.models.job_status import new_job_id
from jobs.schedules.moments import logical
from jobs.schedules.rules import rule_of
from jobs.statuses import OnParentFailure
from jobs.workflows import declared
from jobs.workflows.build import Origin


def of_moment(
    schedule: Schedule,
    moment: datetime,
    *,
    params: Mapping[str, Any] | None = None,
    run_at: datetime | None = None,
    depends_on: tuple[UUID, ...] = (),
) -> tuple[Request, ...]:
    """Return what to dispatch, checked; each job comes behind those that it depends on.

    Args:
        schedule: Its job or its steps, whose params may name the logical time.
        moment: The logical time.
        params: In the place of the job's own; a workflow has none.
        run_at: When the first ones start, at the earliest.
        depends_on: What the first ones wait for, however that ends.

    Raises:
        DispatchError: One of them can't be made.
    """
    if schedule.steps is None:
        found = [_only_one(schedule, moment, params)]
        roots = {found[0].job_id}
    else:
        found = _steps(schedule, moment)
        roots = {request.job_id for request in found if not request.depends_on}
    return tuple(
        replace(
            request,
            run_at=run_at,
            depends_on=depends_on,
            on_parent_failure=OnParentFailure.RUN,
        )
        if request.job_id in roots
        else request
        for request in map(create.checked, found)
    )


def secrets(schedule: Schedule) -> list[str]:
    """Return the texts of its params that must not be shown, for `json_values.scrubbed`."""
    jobs = named(schedule)
    return [secret for name, params in jobs for secret in registry.secrets(name, params)]


def named(schedule: Schedule) -> list[tuple[str, Any]]:
    """Return the job classes that a row names, each with its params; of a workflow every step's.

    The row may be one that somebody has made unreadable: what is no step is left out.
    """
    if schedule.steps is None:
        return [(schedule.job_class, schedule.params)]
    steps = declared.readable(schedule.steps).values()
    return [(str(step.get("job", "")), step.get("params")) for step in steps]


def _only_one(schedule: Schedule, moment: datetime, params: Mapping[str, Any] | None) -> Request:
    wanted = schedule.params if params is None else params
    return Request(
        spec=registry.get(schedule.job_class),
        params=logical.filled(wanted, rule_of(schedule), moment),
        queue=schedule.queue or None,
        schedule=schedule.name,
        logical_time=moment,
        job_id=new_job_id(),
    )


def _steps(schedule: Schedule, moment: datetime) -> list[Request]:
    rule = rule_of(schedule)
    steps = {
        name: {
            **step,
            "params": logical.filled(step.get("params") or {}, rule, moment),
            "queue": step.get("queue") or schedule.queue,
        }
        for name, step in (schedule.steps or {}).items()
    }
    origin = Origin(schedule=schedule.name, logical_time=moment)
    requests = {request.job_id: request for request in declared.read(steps).requests(origin)}
    graph = {job_id: request.depends_on for job_id, request in requests.items()}
    # The run bears the first one, and that is to be one that waits for none of the others.
    return [requests[job_id] for job_id in TopologicalSorter(graph).static_order()]
