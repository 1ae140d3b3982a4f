"""Async: 500 jobs that each wait a second, one runner; the naive way needs a process for each."""

from __future__ import annotations

from benchmarks import plans, rounds
from benchmarks.bench import Bench
from benchmarks.subject import Subject

WAIT_SECONDS = 1.0


def run(bench: Bench) -> None:
    """Measure seconds from the first job's start to the last row completed."""
    sizes = bench.sizes
    slots = str(sizes.waiting)
    ours = bench.subject(
        plans.ours(
            name="ours_async",
            workers=((*plans.MANAGE, "{queues}", "--concurrency", "1", "--async-slots", slots),),
            runs_in=1,
        )
    )
    turns = {"ours": lambda: seconds(ours, sizes.waiting)}
    values = rounds.in_turns("500 async jobs s", turns, sizes.rounds)
    # Fewer, once: they take half a second each, whatever the machine does.
    took = seconds(bench.naive, sizes.waiting_naive) * sizes.waiting / sizes.waiting_naive
    values["naive"] = [took] * sizes.rounds
    bench.add(rounds.rows("waiting", "seconds", "s", values))


def seconds(subject: Subject, count: int) -> float:
    """Return how long `count` waiting jobs take."""
    subject.clear()
    subject.dispatch("Wait", WAIT_SECONDS, count)
    with subject.working("default") as workers:
        since = subject.await_begun(workers, 1)
        subject.await_done(workers, count)
        _, last = subject.query(subject.plan.ended_since, (since,))[0]
    return float(last) - since
