"""What must be shown: each claim, at least and aim, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.rounds import Row, Spread, shown


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of what must be shown, found by its row's key."""

    text: str
    key: tuple[str, str, str]
    at_least: float
    aim: float
    is_ratio: bool = True
    base: str = "naive"
    less_is_better: bool = False

    def holds(self, value: float, bound: float) -> bool:
        """Say whether the value is on the right side of the bound."""
        return value <= bound if self.less_is_better else value >= bound


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim and what was measured."""

    claim: Claim
    spread: Spread

    @property
    def verdict(self) -> str:
        """Judge the median."""
        if not self.claim.holds(self.spread.median, self.claim.at_least):
            return "MISSED"
        return "aim" if self.claim.holds(self.spread.median, self.claim.aim) else "at least"


CLAIMS = (
    Claim("drain, no-op, all rows, two runners", ("drain", "no-op", "ours"), 20, 37),
    Claim("drain with batches off", ("drain", "no-op", "ours, batches off"), 3, 5.4),
    Claim("dispatch, one at a time, autocommit", ("dispatch", "one", "ours"), 2, 3),
    Claim("dispatch_many", ("dispatch", "many", "ours"), 4, 7),
    Claim("idle latency, p50", ("idle", "p50", "ours"), 0.6, 2.0 / 6.6, less_is_better=True),
    Claim("idle latency, p99", ("idle", "p99", "ours"), 0.6, 4.0 / 11.4, less_is_better=True),
    Claim(
        "500 async jobs waiting 1 s each, one runner, seconds",
        ("waiting", "seconds", "ours"),
        3.0,
        1.5,
        is_ratio=False,
        less_is_better=True,
    ),
    Claim(
        "drain on 1,000,000 queued + 5,000,000 finished",
        ("backlog", "drain", "ours, backlog"),
        0.85,
        0.95,
        base="ours, empty",
    ),
    Claim(
        "memory of a worker with two runners (PSS)",
        ("memory", "PSS", "ours"),
        1.2,
        1.0,
        less_is_better=True,
    ),
)


def judge(rows: Sequence[Row]) -> list[Judged]:
    """Return each claim whose figure was measured."""
    by_key = {row.key: row for row in rows}
    found = []
    for claim in CLAIMS:
        row = by_key.get(claim.key)
        values = [] if row is None else row.ratios if claim.is_ratio else row.values
        if values:
            found.append(Judged(claim, Spread.of(values)))
    return found


def table(rows: Iterable[Row]) -> str:
    """Return every row as a line of a Markdown table."""
    lines = [
        "| figure | what | system | unit | median (least..most) | to naive | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = str(Spread.of(row.ratios)) if row.ratios else ""
        cells = (row.figure, row.what, row.subject, row.unit, Spread.of(row.values), ratio)
        lines.append(f"| {' | '.join(map(str, cells))} | {len(row.values)} |")
    return "\n".join(lines) + "\n"


def verdicts(judged: Iterable[Judged]) -> str:
    """Return what must be shown as a Markdown table."""
    lines = [
        "| must show | at least | aim | measured (least..most) | verdict |",
        "|---|---|---|---|---|",
    ]
    for each in judged:
        claim = each.claim
        sign = "<= " if claim.less_is_better else ""
        unit = f" x {claim.base}" if claim.is_ratio else ""
        bounds = (f"{sign}{shown(bound)}{unit}" for bound in (claim.at_least, claim.aim))
        cells = (claim.text, *bounds, f"{each.spread}", each.verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
