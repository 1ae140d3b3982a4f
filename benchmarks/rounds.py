"""Things measured in turns: medians, spreads, and ratios round by round."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_BEGUN = time.monotonic()


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between what the single rounds lay."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return that of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.least)}..{shown(self.most)})"


@dataclass(slots=True)
class Row:
    """One system's values of one thing, a round each, and their ratios to the naive way's."""

    figure: str
    what: str
    subject: str
    unit: str
    values: list[float]
    ratios: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        """What the table of claims finds it by."""
        return (self.figure, self.what, self.subject)


def shown(value: float) -> str:
    """Write a number with three digits that count."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"


def say(text: str) -> None:
    """Tell on stderr what goes on."""
    print(f"[{time.monotonic() - _BEGUN:5.0f} s] {text}", file=sys.stderr, flush=True)


def in_turns(
    label: str,
    turns: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    slices: int = 1,
    before: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Take each turn once a round, forwards and backwards by turns.

    Whatever else the machine does, and whatever a turn leaves behind, falls on all alike.

    Args:
        label: What is measured, to be told.
        turns: By system; each returns a rate or a time.
        rounds: How often.
        slices: A round's turns are taken so many times, and its value is their harmonic mean: the
            rate of them all, where each slice does as much as the others.
        before: What precedes each round.
    """
    values: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        before()
        sliced: dict[str, list[float]] = {name: [] for name in turns}
        for each in range(slices):
            names = list(turns) if (number + each) % 2 == 0 else list(reversed(turns))
            for name in names:
                sliced[name].append(turns[name]())
        for name in turns:
            values[name].append(statistics.harmonic_mean(sliced[name]))
        told = "  ".join(f"{name} {shown(values[name][-1])}" for name in turns)
        say(f"{label} {number + 1}/{rounds}: {told}")
    return values


def rows(
    figure: str,
    what: str,
    unit: str,
    values: Mapping[str, list[float]],
    *,
    base: str = "naive",
) -> list[Row]:
    """Return a row for each system, its ratios taken round by round.

    Args:
        figure: The figure's name.
        what: Which of its things.
        unit: Of the values.
        values: By system, a value a round.
        base: The system that the others are compared with.
    """
    found = []
    for name, own in values.items():
        others = values.get(base, []) if name != base else []
        ratios = [a / b for a, b in zip(own, others, strict=False) if b]
        found.append(Row(figure, what, name, unit, own, ratios))
    return found
