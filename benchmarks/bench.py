"""What a figure is given: the systems, the machine, how many of everything; and where it writes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import places, plans
from benchmarks.machine import Machine
from benchmarks.rounds import Row
from benchmarks.subject import Plan, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many of everything; the defaults are what counts."""

    rounds: int = 5
    one: int = 1_500  # dispatches of one round, one at a time
    many: int = 20_000  # and 1,000 a call
    slices: int = 5  # of a round of dispatches, taken in turns
    drain_seconds: float = 4.0  # how long a drain is to take; the first one finds out how many
    first_drain: int = 1_000
    burn_ms: tuple[float, ...] = (1.0, 20.0)
    waiting: int = 500
    waiting_naive: int = 20
    idle: int = 100  # samples a round
    load_seconds: float = 4.0
    queued: int = 1_000_000
    finished: int = 5_000_000
    memory: int = 400  # jobs, over two processes
    concurrency: tuple[int, ...] = (3,)  # more runners, to weigh one


TINY = Sizes(
    rounds=1, one=20, many=2_000, slices=2, drain_seconds=0.0, first_drain=60, burn_ms=(1.0,),
    waiting=20, waiting_naive=4, idle=5, load_seconds=0.3, queued=500, finished=1_000, memory=60,
    concurrency=(),
)  # fmt: skip


class Bench:
    """One run."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.rows: list[Row] = []
        self.faults: list[str] = []  # why a figure doesn't count
        self._subjects: dict[str, Subject] = {}
        self.machine = Machine(places.make("raw", 1))

    @property
    def ours(self) -> Subject:
        """Jobsite."""
        return self.subject(plans.ours())

    @property
    def naive(self) -> Subject:
        """The naive way."""
        return self.subject(plans.naive())

    def subject(self, plan: Plan) -> Subject:
        """Return the system of that plan, made when first asked for."""
        if plan.name not in self._subjects:
            number = len(self._subjects) + 2
            self._subjects[plan.name] = Subject(plan, places.make(plan.name, number))
        return self._subjects[plan.name]

    def add(self, rows: list[Row]) -> None:
        """Keep what a figure found."""
        self.rows += rows

    def close(self) -> None:
        """End every driver."""
        for subject in self._subjects.values():
            subject.close()
