"""Dispatch one at a time, in autocommit; and many, 1,000 a call. No worker runs."""

from __future__ import annotations

from functools import partial

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.subject import Subject

WARM = 50
VALID_SHARE = 0.15  # of the raw INSERT rate: a slower naive way is no measure


def run(bench: Bench) -> None:
    """Measure both."""
    systems = (bench.naive, bench.ours)
    turns = {"raw": bench.machine.inserts_a_second, "orm": partial(orm, bench)}
    turns |= {each.name: partial(one, each, bench.sizes.one) for each in systems}
    values = rounds.in_turns("dispatch one", turns, bench.sizes.rounds)
    bench.add(rounds.rows("dispatch", "one", "jobs/s", values))
    check(bench, "dispatch", values["naive"], values["raw"], VALID_SHARE)
    turns = {each.name: partial(many, each, bench.sizes.many) for each in systems}
    values = rounds.in_turns("dispatch many", turns, bench.sizes.rounds)
    bench.add(rounds.rows("dispatch", "many", "jobs/s", values))
    bench.machine.trips_a_second()


def one(subject: Subject, count: int) -> float:
    """Return jobs a second."""
    subject.clear()
    subject.order("one", job="Echo", queue="default", value="x", count=WARM)
    return count / subject.order("one", job="Echo", queue="default", value="x", count=count)


def many(subject: Subject, count: int) -> float:
    """Return jobs a second."""
    subject.clear()
    subject.dispatch("Echo", "x", 1_000)
    return count / subject.dispatch("Echo", "x", count)


def orm(bench: Bench) -> float:
    """Return how many rows a second the ORM alone inserts, a commit each."""
    bench.naive.clear()
    count = bench.sizes.one
    return count / bench.naive.order("orm", count=count)


def check(bench: Bench, what: str, naive: list[float], raw: list[float], least: float) -> None:
    """Note a fault where the naive way is too slow beside the raw rate, the median of rounds."""
    share = rounds.Spread.of([a / b for a, b in zip(naive, raw, strict=True)]).median
    rounds.say(f"{what}: naive is at {share:.3f} of the raw INSERT rate (at least {least})")
    if share < least:
        bench.faults.append(
            f"{what}: naive reached {share:.3f} of the raw INSERT rate, at least {least} is asked: "
            "this run doesn't count"
        )
