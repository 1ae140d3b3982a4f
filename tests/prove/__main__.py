"""`make prove`: every promise's test fails when the promise's mechanism is switched off.

On servers of its own:

    manage.py devstack exec --fresh --folder var/prove -- python -m tests.prove [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.prove import breaks
from tests.prove.breaks import BadBreak, Break
from tests.prove.proof import Environment, Proof, Verdict

ROOT = Path(__file__).resolve().parents[2]
LANES = 4  # most of a test's time is waiting
WAIT_SECONDS = 15.0  # half of what the same tests wait for at most in `make test`


def main() -> int:
    """Prove what the arguments name; return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as with Ctrl-C: leaves nothing
    try:
        chosen = _chosen(breaks.read_all(ROOT / breaks.FOLDER), options.names)
    except BadBreak as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not chosen:
        sys.stderr.write("No break is so named.\n")
        return 2
    begun = time.monotonic()
    table = _Table(width=max(len(one.name) for one in chosen), shows_output=options.output)
    lanes = [_lane(number, options.wait) for number in range(1, options.lanes + 1)]
    verdicts = Proof(root=ROOT, lanes=lanes, tell=table.tell).run(
        chosen, unbroken_first=not options.only_broken
    )
    missing = [verdict.proven.name for verdict in verdicts if verdict.why_not]
    seconds = time.monotonic() - begun
    sys.stdout.write(f"{len(verdicts) - len(missing)} of {len(verdicts)} red, {seconds:.0f} s\n")
    if missing:
        sys.stdout.write(f"NOT RED: {', '.join(sorted(missing))}\n")
    return 1 if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("names", nargs="*", help="breaks, or parts of their names; else all")
    parser.add_argument("--lanes", type=int, default=LANES, help="how many at once (%(default)s)")
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, help="a wait's limit in seconds (%(default)s)"
    )
    parser.add_argument(
        "--only-broken", action="store_true", help="don't run the tests unbroken first"
    )
    parser.add_argument("--output", action="store_true", help="show pytest's output of the red too")
    return parser.parse_args()


def _chosen(known: list[Break], names: list[str]) -> list[Break]:
    return [one for one in known if not names or any(name in one.name for name in names)]


def _lane(number: int, wait_seconds: float) -> Environment:
    """Return a database and a Redis that no other lane uses; the tests make the database."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/prove_{number}").geturl()
    # unix:///a/socket?db=0, redis://host:6379/0
    redis = re.sub(r"(?<=[=/])\d+$", str(number), os.environ["REDIS_URL"])
    return {
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "TEST_WAIT_SECONDS": str(wait_seconds),
    }


class _Table:
    def __init__(self, *, width: int, shows_output: bool) -> None:
        self._width = width
        self._shows_output = shows_output
        self._row("", "s", "break", "what is switched off")

    def tell(self, verdict: Verdict) -> None:
        proven = verdict.proven
        if verdict.why_not or self._shows_output:
            sys.stdout.write(verdict.output)
        word = "NOT RED" if verdict.why_not else "red"
        self._row(word, f"{verdict.seconds:.1f}", proven.name, proven.what)
        self._row("", "", "", proven.test)
        if verdict.why_not:
            self._row("", "", "", f"NOT RED: {verdict.why_not}")

    def _row(self, *cells: str) -> None:
        word, seconds, name, text = cells
        sys.stdout.write(
            f"{word:<7}  {seconds:>5}  {name:<{self._width}}  {text}\n".rstrip() + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
