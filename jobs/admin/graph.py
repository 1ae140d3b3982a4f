"""A workflow as a drawing: which box stands where, and which lines lead from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from django.urls import reverse

from jobs.insights.branch import Graph

BOX_WIDTH, BOX_HEIGHT = 190, 46
GAP_X, GAP_Y = 56, 14
MARGIN = 6
MAX_LETTERS = 24  # of a name in its box; the tooltip has all


def drawing(graph: Graph, here: UUID) -> dict[str, Any]:
    """Return what the template draws: boxes in layers from left to right, lines between them.

    A layer holds what is as far from a beginning, by the longest way. Lengths are texts, so that
    no language writes them with its own separators.

    Args:
        graph: What there is to draw.
        here: The job whose page it is; its box is marked.
    """
    layers = _layers(graph)
    place = {
        job_id: (column, row)
        for column, layer in enumerate(layers)
        for row, job_id in enumerate(layer)
    }
    tallest = max(len(layer) for layer in layers)
    return {
        "width": str(_x(len(layers) - 1) + BOX_WIDTH + MARGIN),
        "height": str(_y(tallest - 1) + BOX_HEIGHT + MARGIN),
        "boxes": [_box(graph, job_id, place, here) for layer in layers for job_id in layer],
        "lines": [
            {"path": _path(place[edge.parent_id], place[edge.job_id]), "anyway": edge.runs_anyway}
            for edge in graph.edges
        ],
        "has_anyway": any(edge.runs_anyway for edge in graph.edges),
        "more": _more(graph),
    }


def _layers(graph: Graph) -> list[list[UUID]]:
    parents: dict[UUID, list[UUID]] = {job_id: [] for job_id in graph.nodes}
    for edge in graph.edges:
        parents[edge.job_id].append(edge.parent_id)
    depth: dict[UUID, int] = {}
    for job_id in TopologicalSorter(parents).static_order():
        depth[job_id] = 1 + max((depth[parent] for parent in parents[job_id]), default=-1)
    layers: list[list[UUID]] = [[] for _ in range(max(depth.values()) + 1)]
    for job_id in graph.nodes:
        layers[depth[job_id]].append(job_id)
    # Each near the middle of what it follows, so that fewer lines cross.
    row: dict[UUID, int] = {}
    for layer in layers:
        layer.sort(key=lambda job_id: _middle(parents[job_id], row))
        row |= {job_id: number for number, job_id in enumerate(layer)}
    return layers


def _middle(parents: Sequence[UUID], row: Mapping[UUID, int]) -> float:
    return sum(row[parent] for parent in parents) / len(parents) if parents else 0.0


def _x(column: int) -> int:
    return MARGIN + column * (BOX_WIDTH + GAP_X)


def _y(row: int) -> int:
    return MARGIN + row * (BOX_HEIGHT + GAP_Y)


def _box(
    graph: Graph, job_id: UUID, place: Mapping[UUID, tuple[int, int]], here: UUID
) -> dict[str, Any]:
    node = graph.nodes[job_id]
    column, row = place[job_id]
    name = node.name
    short = (
        name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    )
    return {
        "url": reverse("admin:jobs_jobstatus_change", args=[job_id]),
        "x": str(_x(column)),
        "y": str(_y(row)),
        "text_x": str(_x(column) + 12),
        "name_y": str(_y(row) + 19),
        "status_y": str(_y(row) + 37),
        "name": short,
        "status": node.status,
        "title": f"{name}: {node.job_class} {job_id}, {node.status}",
        "is_here": job_id == here,
    }


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = _x(start[0]) + BOX_WIDTH, _y(start[1]) + BOX_HEIGHT // 2
    x2, y2 = _x(end[0]) - 3, _y(end[1]) + BOX_HEIGHT // 2
    bend = GAP_X // 2
    return f"M {x1} {y1} C {x1 + bend} {y1}, {x2 - bend} {y2}, {x2} {y2}"


def _more(graph: Graph) -> str:
    if not graph.left_out:
        return ""
    number = f"{graph.left_out:,}" + ("+" if graph.is_capped else "")
    return (
        f"The nearest {len(graph.nodes):,} jobs are shown; {number} more hang together with them."
    )
