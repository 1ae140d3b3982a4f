"""Drain: how fast two processes work off a full queue; ours with and without batches.

All jobs are dispatched first, then the workers start. The clock starts when the second process
begins its first job, so start-up is excluded, and stops with the last row that is completed; the
jobs that ended in between count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks import rounds
from benchmarks.bench import Bench
from benchmarks.figures.dispatch import check
from benchmarks.subject import Subject

VALID_SHARE = 0.06  # of the raw INSERT rate
FIRST_BURNS = 60
BATCHES_OFF = '{"BATCH_SIZE": 1}'


def run(bench: Bench) -> None:
    """Measure no-ops."""
    turns: dict[str, Callable[[], float]] = {
        "raw": bench.machine.inserts_a_second,
        "naive": Drain(bench, bench.naive),
        "ours": Drain(bench, bench.ours),
        "ours, batches off": Drain(bench, bench.ours, environment={"BENCH_JOBS": BATCHES_OFF}),
    }
    values = rounds.in_turns("drain no-op", turns, bench.sizes.rounds)
    bench.add(rounds.rows("drain", "no-op", "jobs/s", values))
    check(bench, "drain", values["naive"], values["raw"], VALID_SHARE)


def run_burn(bench: Bench) -> None:
    """Measure jobs that spend CPU time."""
    for milliseconds in bench.sizes.burn_ms:
        what = f"{milliseconds:.0f} ms"
        turns = {
            each.name: Drain(bench, each, job="Burn", value=milliseconds, first=FIRST_BURNS)
            for each in (bench.naive, bench.ours)
        }
        values = rounds.in_turns(f"drain {what}", turns, bench.sizes.rounds)
        bench.add(rounds.rows("drain", what, "jobs/s", values))


@dataclass(slots=True)
class Drain:
    """One system's drain of one job, as many as fill the seconds asked for; a turn to call."""

    bench: Bench
    subject: Subject
    job: str = "Echo"
    value: Any = "x"
    environment: dict[str, str] = field(default_factory=dict)
    queues: tuple[str, ...] = ("default",)  # that the workers serve
    clears: bool = True  # else it comes on top of what is there
    first: int = 0  # jobs of the first drain, which isn't kept; 0: as the sizes say
    count: int = 0  # found by it

    def __call__(self) -> float:
        """Return jobs a second."""
        sizes = self.bench.sizes
        if not self.count:
            self.count = self.first or sizes.first_drain
            # So few may be gone before a second process comes.
            rate = self._rate(processes=1)
            if not sizes.drain_seconds:
                return rate
            self._fit(rate)
        rate = self._rate(self.subject.plan.runs_in)
        self._fit(rate)
        return rate

    def _fit(self, rate: float) -> None:
        sizes = self.bench.sizes
        self.count = max(FIRST_BURNS, int(rate * sizes.drain_seconds))

    def _rate(self, processes: int) -> float:
        subject = self.subject
        if self.clears:
            subject.clear()
        subject.forget_marks()
        subject.dispatch(self.job, self.value, self.count)
        with subject.working(*self.queues, **self.environment) as workers:
            since = subject.await_begun(workers, processes)
            subject.await_done(workers, self.count)
        jobs, last = subject.query(subject.plan.ended_since, (since,))[0]
        if jobs < self.count / 10:
            raise SystemExit(
                f"{subject.name}: of {self.count} jobs {jobs} ended once both processes worked"
            )
        return float(jobs) / (float(last) - since)
