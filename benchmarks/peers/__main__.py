"""`make bench-peers`: other systems beside the naive way, in turns, on the same servers.

The same no-op with a small JSON argument and result, two processes that run jobs, each peer in a
virtual environment of its own and set up as its documentation recommends.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import claims, rounds
from benchmarks.bench import TINY, Bench, Sizes
from benchmarks.figures import dispatch, latency
from benchmarks.figures.drain import Drain
from benchmarks.peers.install import NoPython, install
from benchmarks.peers.plans import PLANS
from benchmarks.subject import Subject


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PLANS)}")
    parser.add_argument("--rounds", type=int, help="of each figure; five or more count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every round's values")
    parser.add_argument("--tiny", action="store_true", help="see that it runs")
    options = parser.parse_args()
    if unknown := set(options.peers) - set(PLANS):
        parser.error(f"no peer is named {', '.join(sorted(unknown))}")
    return options


def subjects(bench: Bench, names: list[str]) -> list[Subject]:
    """Return naive, ours and every peer that can be installed."""
    found = [bench.naive, bench.ours]
    for name in names:
        try:
            install(name)
        except NoPython as why:
            rounds.say(f"{name} is left out: it {why}")
            bench.faults.append(f"{name} is not measured: it {why}")
        else:
            found += [bench.subject(plan) for plan in PLANS[name]]
    return found


def measure(bench: Bench, systems: list[Subject]) -> None:
    """Measure dispatch, many, drain and idle latency."""
    sizes = bench.sizes
    raw = {"raw": bench.machine.inserts_a_second}
    turns: dict[str, Callable[[], float]]

    for what, turns in (
        ("one", raw | dispatch.ones(systems, sizes.one // sizes.slices)),
        ("many", dispatch.manys(systems, sizes.many // sizes.slices)),
    ):
        before = partial(dispatch.warm, systems)
        values = rounds.in_turns(
            f"dispatch {what}", turns, sizes.rounds, slices=sizes.slices, before=before
        )
        bench.add(rounds.rows("dispatch", what, "jobs/s", values))
    turns = raw | {each.name: Drain(bench, each) for each in systems}
    bench.add(
        rounds.rows("drain", "no-op", "jobs/s", rounds.in_turns("drain", turns, sizes.rounds))
    )
    turns = {each.name: partial(p50, each, sizes.idle) for each in systems}
    bench.add(rounds.rows("idle", "p50", "ms", rounds.in_turns("idle p50", turns, sizes.rounds)))


def p50(subject: Subject, count: int) -> float:
    """Return milliseconds."""
    return statistics.median(latency.idle(subject, count).work)


def main() -> int:
    options = parsed()
    sizes = TINY if options.tiny else Sizes(many=10_000, idle=60)
    bench = Bench(dataclasses.replace(sizes, rounds=options.rounds or sizes.rounds))
    about = bench.machine.about()
    try:
        measure(bench, subjects(bench, options.peers or list(PLANS)))
        bench.machine.trips_a_second()
    finally:
        bench.close()
    print("\n".join((*about, *bench.machine.limits(), "")))
    print(claims.table(bench.rows))
    print("".join(f"NOT MEASURED: {fault}\n" for fault in bench.faults), end="")
    if options.json:
        rows = [dataclasses.asdict(row) for row in bench.rows]
        options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1))
    return int(bool(bench.faults))


if __name__ == "__main__":
    sys.exit(main())
