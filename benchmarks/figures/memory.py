"""Memory: PSS of every process of the workers, once they have run some hundred jobs and rest.

A page that n processes share counts as 1/n in each, so the sum is what the machine gives. Nothing
else that runs meanwhile differs between the two.
"""

from __future__ import annotations

import time
from functools import partial

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.subject import Subject

REST_SECONDS = 1.0
TRIES = 20


def run(bench: Bench) -> None:
    """Measure ours with two runners, and with three: what one more costs."""
    count = bench.sizes.memory
    turns = {
        "naive": partial(weight, bench.naive, count),
        "ours": partial(weight, bench.ours, count),
    }
    for runners in bench.sizes.concurrency:
        turns[f"ours, {runners} runners"] = partial(
            weight, bench.ours, count, "--concurrency", str(runners)
        )
    values = rounds.in_turns("memory MiB", turns, bench.sizes.rounds)
    bench.add(rounds.rows("memory", "PSS", "MiB", values))


def weight(subject: Subject, count: int, *options: str) -> float:
    """Return MiB."""
    subject.clear()
    with subject.working("default", options=options) as workers:
        # Little by little, so that each process has its share of them; more where one took all.
        for times in range(1, TRIES):
            subject.order("one", job="Echo", queue="default", value="x", count=count)
            subject.await_done(workers, count * times)
            if len(subject.begun()) >= subject.plan.runs_in:
                break
        subject.await_begun(workers, subject.plan.runs_in)
        time.sleep(REST_SECONDS)
        return workers.pss_mib()
