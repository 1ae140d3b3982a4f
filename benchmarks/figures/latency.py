"""From just before a dispatch to the first line of the work: idle workers, and under half load.

Where the row is written after the function has begun, as the naive way does it, the function's own
first line is told of beside it.

Both ends by time.monotonic_ns(), which all processes of a machine share. The workers serve two
queues in strict order, `high` and `low`, and the jobs go to each in turn.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.processes import Workers
from benchmarks.rounds import Row
from benchmarks.subject import Subject

QUEUES = ("high", "low")
CUTS = {"p50": 50, "p95": 95, "p99": 99}
IDLE_SECONDS = 0.1  # between two dispatches to idle workers
WARM = 10
GROUP_SECONDS = 0.01  # under load what falls into so much time is dispatched in one call
ONE_BY_ONE = 300  # jobs a second; from there in groups
TOLD_SECONDS = 60.0


def run_idle(bench: Bench) -> None:
    """Measure a job every tenth of a second."""
    found: dict[str, list[list[float]]] = {"naive": [], "ours": []}

    first: dict[str, list[list[float]]] = {"naive": [], "ours": []}

    def of(subject: Subject) -> float:
        samples = idle(subject, bench.sizes.idle)
        found[subject.name].append(samples.work)
        first[subject.name].append(samples.first)
        return statistics.median(samples.work)

    turns = {each.name: (lambda each=each: of(each)) for each in (bench.naive, bench.ours)}
    rounds.in_turns("idle latency p50 ms", turns, bench.sizes.rounds)
    bench.add(quantiles("idle", found))
    bench.add(quantiles("idle, to the function's first line", first))


def run_load(bench: Bench) -> None:
    """Measure at half of what the naive way drains: the same even stream of jobs for both."""
    naive = [row for row in bench.rows if row.key == ("drain", "no-op", "naive")]
    ours = [row for row in bench.rows if row.key == ("drain", "no-op", "ours")]
    if not naive or not ours:
        rounds.say("half load: needs the figure drain in the same run")
        return
    half = rounds.Spread.of(naive[0].values).median / 2
    own = rounds.Spread.of(ours[0].values).median / 2
    found: dict[str, list[list[float]]] = {"naive": [], "ours": [], "ours, half its own": []}

    def of(name: str, subject: Subject, rate: float) -> float:
        samples = loaded(subject, rate, bench.sizes.load_seconds).work
        found[name].append(samples)
        return statistics.median(samples)

    turns = {
        "naive": lambda: of("naive", bench.naive, half),
        "ours": lambda: of("ours", bench.ours, half),
        "ours, half its own": lambda: of("ours, half its own", bench.ours, own),
    }
    rounds.in_turns(f"latency p50 ms at {half:.0f} and {own:.0f} jobs/s", turns, bench.sizes.rounds)
    bench.add(quantiles("half load", found))


@dataclass(frozen=True, slots=True)
class Samples:
    """Milliseconds from the dispatch, of each job."""

    work: list[float]
    first: list[float]


def idle(subject: Subject, count: int) -> Samples:
    """Return the milliseconds of each sample."""
    return _paced(subject, every=IDLE_SECONDS, group=1, count=count)


def loaded(subject: Subject, rate: float, seconds: float) -> Samples:
    """Return the milliseconds of every job of an even stream."""
    group = 1 if rate <= ONE_BY_ONE else max(1, round(rate * GROUP_SECONDS))
    return _paced(subject, every=group / rate, group=group, count=max(1, int(rate * seconds)))


def _paced(subject: Subject, *, every: float, group: int, count: int) -> Samples:
    subject.clear()
    with subject.working(*QUEUES) as workers:
        _warm(subject, workers)
        count -= count % group
        dispatched = subject.order(
            "pace", queues=list(QUEUES), every=every, group=group, count=max(count, group)
        )
        told = _all_told(subject, workers, len(dispatched))
    return Samples(
        *(
            [(told[number][which] - at_ns) / 1e6 for number, at_ns in enumerate(dispatched)]
            for which in (0, 1)
        )
    )


def _warm(subject: Subject, workers: Workers) -> None:
    """Have the workers run some jobs and come to rest."""
    subject.order("pace", queues=list(QUEUES), every=0.02, group=1, count=WARM)
    subject.await_begun(workers, 1)
    _all_told(subject, workers, WARM)
    time.sleep(1.0)
    subject.empty_told()


def _all_told(subject: Subject, workers: Workers, count: int) -> dict[int, tuple[int, int]]:
    limit = time.monotonic() + TOLD_SECONDS
    while len(told := subject.told()) < count:
        workers.must_live()
        if time.monotonic() > limit:
            raise SystemExit(f"{subject.name}: {len(told)} of {count} jobs have begun")
        time.sleep(0.1)
    return told


def quantiles(figure: str, found: dict[str, list[list[float]]]) -> list[Row]:
    """Return rows of p50, p95 and p99, a round's each; and the p99 of all samples together."""
    rows = []
    for what, percent in CUTS.items():
        values = {name: [cut(each, percent) for each in every] for name, every in found.items()}
        rows += rounds.rows(figure, what, "ms", values)
    pooled = {name: [cut([*itertools.chain(*every)], 99)] for name, every in found.items()}
    return rows + rounds.rows(figure, "p99 of all rounds", "ms", pooled)


def cut(samples: Sequence[float], percent: int) -> float:
    """Return a percentile, by the nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
