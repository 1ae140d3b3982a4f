"""`make bench`: every figure beside the naive way, in turns, and what must be shown of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import claims, rounds
from benchmarks.bench import TINY, Bench, Sizes
from benchmarks.figures import backlog, costs, dispatch, drain, latency, memory, waiting

FIGURES: dict[str, Callable[[Bench], None]] = {
    "dispatch": dispatch.run,
    "drain": drain.run,
    "load": latency.run_load,
    "burn": drain.run_burn,
    "idle": latency.run_idle,
    "waiting": waiting.run,
    "memory": memory.run,
    "costs": costs.run,
    "backlog": backlog.run,
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; default: all"
    )
    parser.add_argument("--rounds", type=int, help="of each figure; five or more count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every round's values")
    parser.add_argument("--tiny", action="store_true", help="see that it runs; judge nothing")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no figure is named {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = parsed()
    sizes = TINY if options.tiny else Sizes()
    bench = Bench(dataclasses.replace(sizes, rounds=options.rounds or sizes.rounds))
    about = bench.machine.about()
    try:
        for name in options.figures or FIGURES:
            FIGURES[name](bench)
    finally:
        bench.close()
    bench.machine.inserts_a_second()
    bench.machine.trips_a_second()
    print("\n".join((*about, *bench.machine.limits(), "")))
    print(claims.table(bench.rows))
    judged = [] if options.tiny else claims.judge(bench.rows)
    if options.tiny:
        print("Tiny numbers: they show that it runs, nothing is judged.\n")
    else:
        print(claims.verdicts(judged))
        print("".join(f"DOESN'T COUNT: {fault}\n" for fault in bench.faults), end="")
    if options.json:
        found = {
            "about": about,
            "inserts": bench.machine.inserts,
            "trips": bench.machine.trips,
            "rows": [dataclasses.asdict(row) for row in bench.rows],
            "faults": bench.faults,
        }
        options.json.write_text(json.dumps(found, indent=1))
    rounds.say("done")
    missed = any(each.verdict == "MISSED" for each in judged)
    return 0 if options.tiny else int(bool(bench.faults) or missed)


if __name__ == "__main__":
    sys.exit(main())
