"""Drain on top of big backlogs: a million queued jobs behind, five million finished rows beside.

Two databases on the same servers, one empty, one full; the workers serve `default`, which is
drained, and `low`, where the million waits. In turns.
"""

from __future__ import annotations

from benchmarks import plans, rounds
from benchmarks.bench import Bench
from benchmarks.figures.drain import Drain
from benchmarks.subject import Subject

QUEUES = ("default", "low")


def run(bench: Bench) -> None:
    """Fill, then drain both."""
    sizes = bench.sizes
    full = bench.subject(plans.ours(name="ours_full"))
    if not full.is_filled:
        rounds.say(f"filling {sizes.finished:,} finished and {sizes.queued:,} queued rows")
        _run_one(full)
        full.order("fill", finished=sizes.finished, queued=sizes.queued)
        full.is_filled = True
    turns = {
        "ours, empty": Drain(bench, bench.ours, queues=QUEUES),
        "ours, backlog": Drain(bench, full, queues=QUEUES, clears=False),
    }
    values = rounds.in_turns("drain on a backlog", turns, sizes.rounds)
    bench.add(rounds.rows("backlog", "drain", "jobs/s", values, base="ours, empty"))


def _run_one(subject: Subject) -> None:
    """Have one job run: the pattern of all."""
    subject.clear()
    subject.dispatch("Echo", "x", 1)
    with subject.working("default") as workers:
        subject.await_begun(workers, 1)
        subject.await_done(workers, 1)
