"""Steps and how they follow one another: made by authors, checked, and turned into jobs at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Any
from uuid import UUID

from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import InvalidWorkflow
from jobs.models import JobStatus
from jobs.models.job_status import new_job_id
from jobs.spec import JobSpec
from jobs.statuses import OnParentFailure

MAX_STEPS = 1_000
MAX_EDGES = 10_000
_NUMBER = re.compile(r"-\d+$")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A job of a workflow: what to dispatch, and after which others. Made by `BaseJob.step`."""

    spec: JobSpec
    params: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    run_at: datetime | timedelta | None = None
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()  # names of steps
    on_parent_failure: str = OnParentFailure.CANCEL

    def after(self, *names: str) -> Step:
        """Return this step, to start when the steps of these names have ended."""
        return replace(self, parents=(*self.parents, *names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all jobs of a workflow have in common: who made it, and what it follows."""

    created_by_id: Any = None
    schedule: str = ""
    logical_time: datetime | None = None
    # Of the steps that follow no other one:
    depends_on: tuple[UUID, ...] = ()  # jobs that there are
    on_parent_failure: str = OnParentFailure.CANCEL  # of these
    run_at: datetime | timedelta | None = None  # where the step has none of its own


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph of steps, checked when it is made.

    Raises:
        InvalidWorkflow: It is empty or too large, has a cycle, or a step follows an unknown one.
    """

    steps: Mapping[str, Step]

    def __post_init__(self) -> None:
        for fault in faults({name: step.parents for name, step in self.steps.items()}):
            raise InvalidWorkflow(fault)

    def dispatch(self, origin: Origin | None = None, *, created_by: Any = None) -> list[JobStatus]:
        """Make all its jobs in the caller's transaction, all or none, in the order of its steps.

        Args:
            origin: For whoever makes workflows of others, as schedules do.
            created_by: The user they are made for, where there is no origin.

        Raises:
            DispatchError: As `BaseJob.dispatch`; then there is no row.
        """
        by_id = getattr(created_by, "pk", created_by)
        return create.dispatch(self.requests(origin or Origin(created_by_id=by_id)))

    def requests(self, origin: Origin) -> list[Request]:
        """Return what to ask of `create.dispatch`, in the order of the steps; ids are fresh."""
        ids = {name: new_job_id() for name in self.steps}
        return [self._request(name, ids, origin) for name in self.steps]

    def _request(self, name: str, ids: Mapping[str, UUID], origin: Origin) -> Request:
        step = self.steps[name]
        is_root = not step.parents
        return Request(
            spec=step.spec,
            params=step.params,
            queue=step.queue,
            run_at=origin.run_at if is_root and step.run_at is None else step.run_at,
            tags=step.tags,
            created_by_id=origin.created_by_id,
            schedule=origin.schedule,
            logical_time=origin.logical_time,
            job_id=ids[name],
            step=name,
            depends_on=origin.depends_on if is_root else tuple(ids[each] for each in step.parents),
            on_parent_failure=origin.on_parent_failure if is_root else step.on_parent_failure,
        )


def workflow(steps: Mapping[str, Step] | None = None, /, **named: Step) -> Workflow:
    """Return a graph of named steps, each of which says by `after` what it follows.

    Args:
        steps: By name; for names that are no keywords.
        named: The same.

    Raises:
        InvalidWorkflow: As `Workflow`.
    """
    given = {**(steps or {}), **named}
    for name, step in given.items():
        if not isinstance(step, Step):
            raise InvalidWorkflow(f"{name} is no step: write {name}=SomeJob.step(...).")
    return Workflow(given)


Link = Step | Workflow | Sequence["Link"]


def chain(*links: Link) -> Workflow:
    """Return a workflow in which each link starts when all of the one before has ended.

    A step is named after its job class, the second of a class "Name-2".

    Args:
        links: Steps, lists of what runs side by side, other chains or workflows.

    Raises:
        InvalidWorkflow: As `Workflow`.
    """
    steps: dict[str, Step] = {}
    ends: tuple[str, ...] = ()
    for link in links:
        ends = _place(link, ends, steps)
    return Workflow(steps)


def _place(link: Link, after: tuple[str, ...], steps: dict[str, Step]) -> tuple[str, ...]:
    """Put `link` behind the steps named `after`; return the names of its last ones."""
    if isinstance(link, Step):
        if link.parents:
            raise InvalidWorkflow("The steps of a chain follow its order: `after` is workflow()'s.")
        name = _free(link.spec.name, steps)
        steps[name] = replace(link, parents=after)
        return (name,)
    if isinstance(link, Workflow):
        return _place_workflow(link, after, steps)
    if isinstance(link, list | tuple) and link:
        return tuple(end for each in link for end in _place(each, after, steps))
    raise InvalidWorkflow(f"A chain takes steps, lists of steps and workflows, not {link!r}.")


def _place_workflow(
    inner: Workflow, after: tuple[str, ...], steps: dict[str, Step]
) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for name in inner.steps:
        names[name] = _free(name, steps)
        steps[names[name]] = inner.steps[name]  # its place, until its parents have their names
    followed: set[str] = set()
    for name, step in inner.steps.items():
        followed.update(step.parents)
        parents = tuple(names[each] for each in step.parents) or after
        steps[names[name]] = replace(step, parents=parents)
    return tuple(names[name] for name in inner.steps if name not in followed)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number, free, base = 1, name, _NUMBER.sub("", name)
    while free in taken:
        number += 1
        free = f"{base}-{number}"
    return free


def faults(parents_by_name: Mapping[str, Iterable[str]]) -> list[str]:
    """Return what is wrong with a graph of steps, for people; nothing where it is sound."""
    if not parents_by_name:
        return ["A workflow needs at least one step."]
    edges = sum(len(set(parents)) for parents in parents_by_name.values())
    if len(parents_by_name) > MAX_STEPS:
        return [f"A workflow has {len(parents_by_name):,} steps, at most {MAX_STEPS:,}."]
    if edges > MAX_EDGES:
        return [
            f"The steps of a workflow follow one another in {edges:,} ways, at most {MAX_EDGES:,}. "
            "Between many steps and many others put one that all of these follow."
        ]
    named = [
        f"{name!r} is no name of a step: 1 to 100 letters, digits, _ and -."
        for name in parents_by_name
        if not _NAME.fullmatch(name)
    ]
    return named + _unknown(parents_by_name) + _cycles(parents_by_name)


def _unknown(parents_by_name: Mapping[str, Iterable[str]]) -> list[str]:
    known = ", ".join(list(parents_by_name)[:20])
    return [
        f"Step {name} follows {parent!r}, which is no step. Steps are: {known}."
        for name, parents in parents_by_name.items()
        for parent in parents
        if parent not in parents_by_name
    ]


def _cycles(parents_by_name: Mapping[str, Iterable[str]]) -> list[str]:
    try:
        TopologicalSorter(parents_by_name).prepare()
    except CycleError as error:
        return [f"Steps wait for one another in a circle: {' -> '.join(error.args[1])}."]
    return []
