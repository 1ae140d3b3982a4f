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

    def of_each(measured: Callable[[Subject], float]) -> dict[str, Callable[[], float]]:
        return {each.name: partial(measured, each) for each in systems}

    figures: tuple[tuple[str, str, str, dict[str, Callable[[], float]]], ...] = (
        ("dispatch", "one", "jobs/s", of_each(partial(dispatch.one, count=sizes.one))),
        ("dispatch", "many", "jobs/s", of_each(partial(dispatch.many, count=sizes.many))),
        ("drain", "no-op", "jobs/s", {each.name: Drain(bench, each) for each in systems}),
        ("idle", "p50", "ms", of_each(partial(p50, count=sizes.idle))),
    )
    for figure, what, unit, turns in figures:
        # Beside what is a commit a job.
        raw = {} if what in {"many", "p50"} else {"raw": bench.machine.inserts_a_second}
        values = rounds.in_turns(f"{figure} {what}", {**raw, **turns}, sizes.rounds)
        bench.add(rounds.rows(figure, what, unit, values))


def p50(subject: Subject, count: int) -> float:
    """Return milliseconds."""
    return statistics.median(latency.idle(subject, count))


def main() -> int:
    options = parsed()
    sizes = TINY if options.tiny else Sizes(many=5_000, idle=60)
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
