"""Workflows for a producer to dispatch: lines, fans and any graph, with parents that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from jobs.base import BaseJob, chain, workflow
from jobs.workflows.build import Step, Workflow
from tests.chaos.ledger import Edge

Recipe = tuple[type[BaseJob], Callable[[Random], dict[str, Any]]]
Menu = Sequence[tuple[int, Recipe]]  # with shares
QUEUES = ("high", "low", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One job to be."""

    step: Callable[[str], Step]  # by its token
    parents: tuple[int, ...]  # their places in the flow, all before its own
    on_failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A workflow before its jobs have their tokens."""

    nodes: tuple[Node, ...]
    is_chain: bool  # level upon level, each of which follows all of the one before

    @property
    def size(self) -> int:
        """How many jobs it makes."""
        return len(self.nodes)

    def edges(self, tokens: Sequence[str]) -> list[Edge]:
        """Return which waits for which, where they bear these tokens."""
        return [
            Edge(tokens[place], tokens[parent], node.on_failure)
            for place, node in enumerate(self.nodes)
            for parent in node.parents
        ]

    def build(self, tokens: Sequence[str]) -> Workflow:
        """Return it as an author would write it: its jobs bear these tokens, in order."""
        steps = [node.step(token) for node, token in zip(self.nodes, tokens, strict=True)]
        if self.is_chain:
            levels: dict[tuple[int, ...], list[Step]] = {}
            for node, step in zip(self.nodes, steps, strict=True):
                levels.setdefault(node.parents, []).append(step)
            return chain(*levels.values())
        named = enumerate(zip(self.nodes, steps, strict=True))
        return workflow(
            {
                f"step-{place}": step.after(*(f"step-{parent}" for parent in node.parents))
                for place, (node, step) in named
            }
        )


def draw(rand: Random, menu: Menu) -> Flow:
    """Return a line, a fan out and in, or any graph, of 2 to 7 jobs."""
    is_chain = rand.random() < 0.7
    parents = _levels(rand) if is_chain else _any(rand)
    return Flow(nodes=tuple(_node(rand, menu, one) for one in parents), is_chain=is_chain)


def on_failure(rand: Random) -> str:
    """Return what a parent's failure is to do."""
    return rand.choice(("cancel", "cancel", "run"))


def _levels(rand: Random) -> list[tuple[int, ...]]:
    widths = rand.choice(((1, 1), (1, 1, 1), (1, 1, 1, 1), (1, 3, 1), (2, 1), (3, 1, 2), (1, 5)))
    parents: list[tuple[int, ...]] = []
    before: tuple[int, ...] = ()
    for width in widths:
        parents += [before] * width
        before = tuple(range(len(parents) - width, len(parents)))
    return parents


def _any(rand: Random) -> list[tuple[int, ...]]:
    return [
        tuple(sorted(rand.sample(range(place), min(place, rand.choice((0, 1, 1, 2, 3))))))
        for place in range(rand.randint(3, 7))
    ]


def _node(rand: Random, menu: Menu, parents: tuple[int, ...]) -> Node:
    recipes, weights = zip(*((recipe, share) for share, recipe in menu), strict=True)
    job_class, draw_params = rand.choices(recipes, weights)[0]
    params, queue, rule = draw_params(rand), rand.choice(QUEUES), on_failure(rand)
    run_at = timedelta(seconds=rand.uniform(0.2, 2.0)) if rand.random() < 0.1 else None

    def step(token: str) -> Step:
        return job_class.step(
            token=token, queue=queue, run_at=run_at, on_parent_failure=rule, **params
        )

    return Node(step=step, parents=parents, on_failure=rule)
