"""The one table of a chaos run: what struck, what became of the jobs, what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from tests.chaos import dependents, ticks
from tests.chaos.case import TERMINAL, Case
from tests.chaos.evidence import Evidence
from tests.chaos.ledger import COMMITTED, ROLLED_BACK, UNKNOWN
from tests.chaos.verdict import Wrong, doubles

SHOWN = 12  # offenders against one rule
_END = {UNKNOWN: "cut off by a fault: all or none stand"}


def table(evidence: Evidence) -> str:
    """Return the table: faults on the left, jobs on the right."""
    struck = Counter(str(one.kind) for one in evidence.struck if one.has_hit)
    left = _counted("faults survived", struck.items())
    if nobody := len(evidence.struck) - struck.total():
        left += ["", *_lines([("faults that hit nobody", nobody)])]
    right = list(_right(evidence))
    width = max(map(len, left))
    return "\n".join(
        f"  {one:<{width}}    {other}".rstrip()
        for one, other in zip_longest(left, right, fillvalue="")
    )


def _right(evidence: Evidence) -> Iterator[str]:
    case = Case(evidence)
    units = Counter()
    for unit in evidence.units:
        units[unit.end] += len(unit.tokens)
    attempts = Counter(attempt.outcome for attempt in evidence.attempts)
    errors = Counter(one.error_class for one in evidence.attempts if one.outcome == "failed")
    yield from _counted("jobs", Counter(job.status for job in evidence.jobs).items())
    yield ""
    yield from _counted(
        "dispatches",
        [(_END.get(end, end), units[end]) for end in (COMMITTED, ROLLED_BACK, UNKNOWN)],
    )
    yield ""
    yield from _counted("attempts", attempts.items())
    yield from _lines([("of the failed: " + name, count) for name, count in errors.items()])
    yield ""
    yield from _lines(
        [
            ("moments made", len(evidence.ticks) - ticks.skipped(evidence)),
            ("of these: by backfills", sum(tick.backfill is not None for tick in evidence.ticks)),
            ("moments skipped, missed in an outage", ticks.skipped(evidence)),
            ("asked by a person: cancels", sum(case.cancels.values())),
            ("asked by a person: retries", sum(case.retries.values())),
            ("jobs that depend on others", len(dependents.children(case))),
            ("of these: cancelled by a parent", len(dependents.cut(case))),
            ("of these: revived, and ran", len(dependents.revived(case))),
            ("rows loaded by imports", sum(one.loaded.total() for one in evidence.imports)),
            ("jobs done twice, explained by a loss", len(doubles(case))),
            ("jobs lost", lost(evidence)),
        ]
    )


def lost(evidence: Evidence) -> int:
    """Return how many committed dispatches have no row, or one that never ended."""
    ended = {job.token for job in evidence.jobs if job.status in TERMINAL}
    committed = [token for unit in evidence.units if unit.end == COMMITTED for token in unit.tokens]
    return sum(token not in ended for token in committed)


def offenders(wrongs: list[Wrong]) -> Iterator[str]:
    """Yield each broken rule and the first rows that break it."""
    for rule, count in Counter(wrong.rule for wrong in wrongs).items():
        yield f"BROKEN: {rule} ({count})"
        for wrong in [one for one in wrongs if one.rule == rule][:SHOWN]:
            yield f"    {wrong.what}"


def _counted(title: str, items: Iterable[tuple[str, int]]) -> list[str]:
    rows = sorted(items, key=lambda item: (-item[1], item[0]))
    return _lines([(title.upper(), sum(count for _, count in rows)), *rows])


def _lines(rows: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{name:<44}{count:>7,}" for name, count in rows]
