"""Where the time of a drain goes: py-spy over every process of a worker, and pg_stat_statements.

Prints, for each kind of process, which of our functions the samples fall to (what libraries do is
charged to ours that called them), and the statements by the time PostgreSQL spent on them. It
wants a server that loads pg_stat_statements: `make bench-profile` sees to it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks import places, plans, rounds
from benchmarks.bench import Bench, Sizes
from benchmarks.figures.drain import Drain
from benchmarks.subject import Subject

SAMPLES_A_SECOND = 200
TOP = 15
# The first that stands in a stack says what kind of thread it is.
KINDS = {
    "jobs/runner/clerk.py": "a runner's clerk",
    "jobs/runner/guard.py": "a runner's guard",
    "jobs/runner/entry.py": "runners",
    "jobs/worker/keeper.py": "the supervisor's keeper",
    "jobs/maintenance/": "duties",
    "jobs/worker/": "the supervisor",
}
_FRAME = re.compile(r"^(?P<name>.+) \((?P<path>[^():]+)(:\d+)?\)$")
_STATEMENTS = """
    SELECT calls, total_exec_time, mean_exec_time, rows, wal_bytes,
        regexp_replace(query, '\\s+', ' ', 'g')
    FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid
    WHERE d.datname = current_database() ORDER BY total_exec_time DESC LIMIT %s
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="that the drain is to take")
    parser.add_argument("--stacks", type=Path, help="keep py-spy's stacks in that file")
    parser.add_argument("--prepare", action="store_true", help="have the server load it next time")
    options = parser.parse_args()
    if options.prepare:
        with places.here().connect().cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        return
    bench = Bench(Sizes(drain_seconds=options.seconds))
    try:
        ours = bench.ours
        ours.query("CREATE EXTENSION pg_stat_statements")
        rate = Drain(bench, ours)()
        rounds.say(f"{rate:,.0f} jobs/s without a profiler")
        stacks = options.stacks or ours.marks / "stacks"
        jobs = int(rate * options.seconds)
        record(ours, jobs, options.seconds, stacks)
        print("\n".join(table(read(stacks))))
        print("\n".join(statements(ours, jobs)))
    finally:
        bench.close()


def record(subject: Subject, jobs: int, seconds: float, stacks: Path) -> None:
    """Drain so many jobs under py-spy."""
    subject.clear()
    subject.dispatch("Echo", "x", jobs)
    subject.query("SELECT pg_stat_statements_reset()")
    with subject.working("default") as workers:
        subject.await_begun(workers, subject.plan.runs_in)
        watcher = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "py-spy"), "record", "--subprocesses"),
                *("--nonblocking", "--format", "raw", "--function", "--full-filenames"),
                *("--rate", str(SAMPLES_A_SECOND), "--duration", str(max(1, int(seconds / 2)))),
                *("--output", str(stacks), "--pid", str(workers.processes[0].pid)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun = time.monotonic()
        subject.await_done(workers, jobs)
        took = time.monotonic() - begun
        watcher.wait()
    rounds.say(f"{jobs:,} jobs in {took:.1f} s, half of it under py-spy")


def read(stacks: Path) -> dict[str, Counter[str]]:
    """Return for each kind of process how many samples fell to each of our functions."""
    found: dict[str, Counter[str]] = {}
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [match for each in stack.split(";") if (match := _FRAME.match(each))]
        paths = " ".join(match["path"] for match in frames)
        kind = next((kind for part, kind in KINDS.items() if part in paths), "the rest")
        ours = [match for match in frames if str(plans.ROOT / "jobs") in match["path"]]
        place = _place(ours[-1]) if ours else "not ours"
        found.setdefault(kind, Counter())[place] += int(count)
    return found


def _place(frame: re.Match[str]) -> str:
    return f"{Path(frame['path']).relative_to(plans.ROOT)} {frame['name']}"


def table(found: dict[str, Counter[str]]) -> list[str]:
    """Return the samples as a Markdown table, the busiest kind first."""
    all_of = sum(sum(each.values()) for each in found.values())
    lines = ["| process | where | of all samples |", "|---|---|---|"]
    for kind, places_of in sorted(found.items(), key=lambda item: -sum(item[1].values())):
        lines.append(f"| {kind} | | {sum(places_of.values()) / all_of:.1%} |")
        lines += [
            f"| | `{place}` | {count / all_of:.1%} |"
            for place, count in places_of.most_common(TOP)
            if count / all_of >= 0.01  # noqa: PLR2004 - a hundredth
        ]
    return [*lines, ""]


def statements(subject: Subject, jobs: int) -> list[str]:
    """Return what PostgreSQL spent its time on, as a Markdown table."""
    lines = ["| µs a job | calls | ms a call | rows a call | WAL bytes a job | statement |"]
    lines.append("|---|---|---|---|---|---|")
    for calls, total, mean, rows, wal, query in subject.query(_STATEMENTS, (TOP,)):
        cells = (
            rounds.shown(total * 1_000 / jobs),
            f"{calls:,}",
            rounds.shown(mean),
            rounds.shown(rows / calls),
            rounds.shown(float(wal) / jobs),
            f"`{query[:100]}`",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
