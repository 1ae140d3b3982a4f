"""Dispatch one at a time, in autocommit; and many, 1,000 a call. No worker runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.subject import Subject

WARM = 50
VALID_SHARE = 0.15  # of the raw INSERT rate: a slower naive way is no measure


def run(bench: Bench) -> None:
    """Measure both."""
    sizes = bench.sizes
    systems = (bench.naive, bench.ours)
    turns = {
        "raw": bench.machine.inserts_a_second,
        "orm": partial(orm, bench.naive, sizes.one // sizes.slices),
        **ones(systems, sizes.one // sizes.slices),
    }
    values = rounds.in_turns(
        "dispatch one", turns, sizes.rounds, slices=sizes.slices, before=partial(warm, systems)
    )
    bench.add(rounds.rows("dispatch", "one", "jobs/s", values))
    check(bench, "dispatch", values["naive"], values["raw"], VALID_SHARE)
    values = rounds.in_turns(
        "dispatch many",
        manys(systems, sizes.many // sizes.slices),
        sizes.rounds,
        slices=sizes.slices,
        before=partial(warm, systems),
    )
    bench.add(rounds.rows("dispatch", "many", "jobs/s", values))
    bench.machine.trips_a_second()


def ones(systems: Sequence[Subject], count: int) -> dict[str, Callable[[], float]]:
    """Return turns of `count` dispatches, one at a time, in jobs a second."""
    return {each.name: partial(one, each, count) for each in systems}


def manys(systems: Sequence[Subject], count: int) -> dict[str, Callable[[], float]]:
    """Return turns of `count` dispatches, CALL at a time, in jobs a second."""
    return {each.name: partial(many, each, count) for each in systems}


def warm(systems: Sequence[Subject]) -> None:
    """Empty each system, and dispatch a few jobs either way."""
    for each in systems:
        each.clear()
        each.order("one", job="Echo", queue="default", value="x", count=WARM)
        each.dispatch("Echo", "x", WARM)


def one(subject: Subject, count: int) -> float:
    """Return jobs a second."""
    return count / subject.order("one", job="Echo", queue="default", value="x", count=count)


def many(subject: Subject, count: int) -> float:
    """Return jobs a second."""
    return count / subject.dispatch("Echo", "x", count)


def orm(naive: Subject, count: int) -> float:
    """Return how many rows a second the ORM alone inserts, a commit each."""
    return count / naive.order("orm", count=count)


def check(bench: Bench, what: str, naive: list[float], raw: list[float], least: float) -> None:
    """Note a fault where the naive way is too slow beside the raw rate, the median of rounds."""
    share = rounds.Spread.of([a / b for a, b in zip(naive, raw, strict=True)]).median
    rounds.say(f"{what}: naive is at {share:.3f} of the raw INSERT rate (at least {least})")
    if share < least:
        bench.faults.append(
            f"{what}: naive reached {share:.3f} of the raw INSERT rate, at least {least} is asked: "
            "this run doesn't count"
        )
