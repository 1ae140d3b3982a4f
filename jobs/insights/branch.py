"""What a job has to do with others: whom it waits for, who waits for it, the graph around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection

from jobs.models import JobDependency, JobStatus
from jobs.statuses import TERMINAL, OnParentFailure
from jobs.values import value

MAX_NODES = 200  # of a graph
_COUNTED = 1_000  # jobs beyond these are counted so far
MAX_NAMED = 1_000  # parents, or dependents, of one job


@value
class Node:
    """A job of a graph."""

    job_id: UUID
    job_class: str
    status: str
    step: str  # its name in its workflow, or empty

    @property
    def name(self) -> str:
        """What people call it."""
        return self.step or self.job_class

    @property
    def is_living(self) -> bool:
        """Whether it has yet to end."""
        return self.status not in TERMINAL


@value
class Edge:
    """One job of a graph waits for another."""

    parent_id: UUID
    job_id: UUID
    runs_anyway: bool  # whatever becomes of the parent


@value
class Graph:
    """The jobs that a job hangs together with, the nearest ones."""

    nodes: Mapping[UUID, Node]
    edges: Sequence[Edge]
    left_out: int  # jobs further away, counted up to a thousand
    is_capped: bool  # there are still more

    @property
    def is_living(self) -> bool:
        """Whether any of its jobs has yet to end."""
        return any(node.is_living for node in self.nodes.values())


def around(job_id: UUID, *, limit: int = MAX_NODES) -> Graph | None:
    """Return the graph around a job; None where it depends on nothing and nothing on it.

    Three statements, for a job alone one. By the primary key and `job_dependencies_parent_id`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEAR, [str(job_id), limit + _COUNTED + 1])
        ids = [found for (found,) in cursor.fetchall()]
    if len(ids) == 1:
        return None
    shown = ids[:limit]
    found = list(JobDependency.objects.filter(job__in=shown, parent__in=shown).order_by("number"))
    steps = {edge.parent_id: edge.parent_step for edge in found}
    steps |= {edge.job_id: edge.step for edge in found if edge.step}
    rows = JobStatus.objects.filter(id__in=shown).order_by("id")
    nodes = {
        each: Node(job_id=each, job_class=job_class, status=status, step=steps.get(each, ""))
        for each, job_class, status in rows.values_list("id", "job_class", "status")
    }
    return Graph(
        nodes=nodes,
        edges=[_edge(edge) for edge in found if edge.parent_id in nodes and edge.job_id in nodes],
        left_out=min(max(0, len(ids) - limit), _COUNTED),
        is_capped=len(ids) > limit + _COUNTED,
    )


def _edge(row: JobDependency) -> Edge:
    return Edge(
        parent_id=row.parent_id,
        job_id=row.job_id,
        runs_anyway=row.on_parent_failure == OnParentFailure.RUN,
    )


# A step outwards at a time: the limit leaves out what is furthest.
_NEAR = """
    WITH RECURSIVE near(id) AS (
        SELECT %s::uuid
        UNION
        SELECT beside.id FROM near, LATERAL (
            SELECT parent_id AS id FROM job_dependencies WHERE job_id = near.id
            UNION ALL
            SELECT job_id FROM job_dependencies WHERE parent_id = near.id) AS beside)
    SELECT id FROM near LIMIT %s
"""


def parents(job_id: UUID) -> list[Node]:
    """Return the jobs that a job depends on, in their order: one statement."""
    rows = JobDependency.objects.filter(job=job_id).order_by("number")
    names = ("parent_id", "parent__job_class", "parent__status", "parent_step")
    return [_node(*row) for row in rows.values_list(*names)[:MAX_NAMED]]


def dependents(job_id: UUID) -> list[Node]:
    """Return the jobs that depend on a job, the oldest first: one statement."""
    rows = JobDependency.objects.filter(parent=job_id).order_by("job_id")
    names = ("job_id", "job__job_class", "job__status", "step")
    return [_node(*row) for row in rows.values_list(*names)[:MAX_NAMED]]


def _node(job_id: UUID, job_class: str, status: str, step: str) -> Node:
    return Node(job_id=job_id, job_class=job_class, status=status, step=step)
