"""A workflow as a drawing: which box stands where, and which lines lead from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.urls import reverse

from jobs.insights.branch import Graph

BOX_WIDTH, BOX_HEIGHT = 170, 46
GAP_X, GAP_Y = 44, 14
MARGIN = 6
MAX_STATIONS = 1_500  # of all lines; in a denser graph they go straight
MAX_LETTERS = 21  # of a name in its box; the tooltip has all


# A place in a layer: a job's, or that of a line that passes through on its way.
_Key = UUID | tuple[UUID, UUID, int]


def drawing(graph: Graph, here: UUID) -> dict[str, Any]:
    """Return what the template draws: boxes in layers from left to right, lines between them.

    A layer holds what is as far from a beginning, by the longest way. A line that passes a layer
    has a place of its own there, so that it crosses no box. Lengths are texts, so that no language
    writes them with its own separators.

    Args:
        graph: What there is to draw.
        here: The job whose page it is; its box is marked.
    """
    depth = _depths(graph)
    ways = [_way(edge.parent_id, edge.job_id, depth) for edge in graph.edges]
    if sum(len(way) for way in ways) > MAX_STATIONS:
        ways = [[way[0], way[-1]] for way in ways]
    place = _places(graph, ways, depth)
    columns, rows = (max(numbers) + 1 for numbers in zip(*place.values(), strict=True))
    return {
        "width": str(_x(columns - 1) + BOX_WIDTH + MARGIN),
        "height": str(_y(rows - 1) + BOX_HEIGHT + MARGIN),
        "box_width": str(BOX_WIDTH),
        "box_height": str(BOX_HEIGHT),
        "boxes": [_box(graph, job_id, place[job_id], here) for job_id in graph.nodes],
        "lines": [
            {"path": _path([place[key] for key in way]), "anyway": edge.runs_anyway}
            for edge, way in zip(graph.edges, ways, strict=True)
        ],
        "has_anyway": any(edge.runs_anyway for edge in graph.edges),
        "more": _more(graph),
    }


def _depths(graph: Graph) -> dict[UUID, int]:
    parents: dict[UUID, list[UUID]] = {job_id: [] for job_id in graph.nodes}
    for edge in graph.edges:
        parents[edge.job_id].append(edge.parent_id)
    depth: dict[UUID, int] = {}
    for job_id in TopologicalSorter(parents).static_order():
        depth[job_id] = 1 + max((depth[parent] for parent in parents[job_id]), default=-1)
    return depth


def _way(start: UUID, end: UUID, depth: Mapping[UUID, int]) -> list[_Key]:
    """Return the stations of a line: both jobs, and a place in each layer between them."""
    between = range(depth[start] + 1, depth[end])
    return [start, *((start, end, layer) for layer in between), end]


def _places(
    graph: Graph, ways: Sequence[Sequence[_Key]], depth: Mapping[UUID, int]
) -> dict[_Key, tuple[int, int]]:
    layers: list[list[_Key]] = [[] for _ in range(max(depth.values()) + 1)]
    for job_id in graph.nodes:
        layers[depth[job_id]].append(job_id)
    before: dict[_Key, list[_Key]] = {}
    for way in ways:
        for key, following in pairwise(way):
            before.setdefault(following, []).append(key)
            if not isinstance(following, UUID):
                layers[following[2]].append(following)
    # Each near the middle of what it follows, so that fewer lines cross.
    row: dict[_Key, int] = {}
    for layer in layers:
        layer.sort(key=lambda key: _middle(before.get(key, ()), row))
        row |= {key: number for number, key in enumerate(layer)}
    return {key: (column, row[key]) for column, layer in enumerate(layers) for key in layer}


def _middle(keys: Sequence[_Key], row: Mapping[_Key, int]) -> float:
    return sum(row[key] for key in keys) / len(keys) if keys else 0.0


def _x(column: int) -> int:
    return MARGIN + column * (BOX_WIDTH + GAP_X)


def _y(row: int) -> int:
    return MARGIN + row * (BOX_HEIGHT + GAP_Y)


def _box(graph: Graph, job_id: UUID, place: tuple[int, int], here: UUID) -> dict[str, Any]:
    node = graph.nodes[job_id]
    column, row = place
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


def _path(places: Sequence[tuple[int, int]]) -> str:
    """Return a line from box to box: level through each place that it passes."""
    (column, row), *passed = places
    path = f"M {_x(column) + BOX_WIDTH} {_middle_y(row)}"
    x, y = _x(column) + BOX_WIDTH, _middle_y(row)
    for number, (column, row) in enumerate(passed, start=1):
        is_last = number == len(passed)
        next_x, next_y = _x(column) - (3 if is_last else 0), _middle_y(row)
        path += f" C {x + GAP_X // 2} {y}, {next_x - GAP_X // 2} {next_y}, {next_x} {next_y}"
        x, y = next_x, next_y
        if not is_last:
            x += BOX_WIDTH
            path += f" H {x}"
    return path


def _middle_y(row: int) -> int:
    return _y(row) + BOX_HEIGHT // 2


def _more(graph: Graph) -> str:
    if not graph.left_out:
        return ""
    number = f"{graph.left_out:,}" + ("+" if graph.is_capped else "")
    return (
        f"The nearest {len(graph.nodes):,} jobs are shown; {number} more hang together with them."
    )
