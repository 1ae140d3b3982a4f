"""What is left after a chaos run, as values: the verdict reads nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.chaos.ledger import Request, Unit
from tests.chaos.plan import Kind

Claim = tuple[str, int]  # a job's id and the claim of one of its attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of job_statuses."""

    id: str
    job_class: str
    status: str
    token: str = ""
    attempt: int = 0
    max_attempts: int = 5
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    schedule: str = ""
    logical_time: datetime | None = None
    error: str = ""

    def __str__(self) -> str:
        return f"{self.job_class} {self.id} ({self.token or self.schedule}), {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A row of job_attempts."""

    job_id: str
    claim: int
    number: int
    outcome: str
    status: str
    error_class: str = ""
    result_of: int | None = None  # the claim under which the run that made its result ran
    started_at: datetime
    ended_at: datetime

    def __str__(self) -> str:
        return f"claim {self.claim} number {self.number} {self.outcome} {self.error_class}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a job itself has left in the file: it began, and perhaps it came to its end."""

    job_id: str
    claim: int
    begins: int = 1
    ends: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an import has left: each number that stands, with how often, and what it rejected."""

    job_id: str
    numbers: int  # of rows in its source, counted from 1
    loaded: Counter[int]
    rejected: tuple[int, ...]  # positions, in the order of the kept rows' numbers
    counts: Mapping[str, int] | None  # of its result


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A row of job_schedule_runs."""

    schedule: str
    logical_time: datetime
    created_at: datetime
    outcome: str
    job_id: str | None
    backfill: int | None = None  # that made it; None: the schedule's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A row of job_backfills."""

    id: int
    schedule: str
    from_at: datetime  # the first moment
    to_at: datetime  # the last one
    max_active: int
    status: str
    reason: str = ""
    made: int
    passed: int

    def __str__(self) -> str:
        return f"backfill {self.id} of {self.schedule}, {self.from_at} to {self.to_at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that was done; the times are the host's, which is the database's too."""

    kind: Kind
    hit: str
    begun_at: float
    ended_at: float

    @property
    def has_hit(self) -> bool:
        """Whether there was anybody to strike."""
        return "nobody" not in self.hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A process that ended though nobody had told it to, or didn't though it was told."""

    name: str
    code: int | None  # None: it had to be killed at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is judged."""

    jobs: tuple[Job, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    runs: tuple[Run, ...] = ()
    writes: tuple[Claim, ...] = ()  # of atomic jobs
    marks: tuple[Claim, ...] = ()  # of jobs that write without a transaction
    imports: tuple[Import, ...] = ()
    units: tuple[Unit, ...] = ()
    requests: tuple[Request, ...] = ()
    ticks: tuple[Tick, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    backfilled: tuple[str, ...] = ()  # schedules of which somebody wanted one
    every: Mapping[str, timedelta] = field(default_factory=dict)  # schedule -> its interval
    ticking_ended_at: datetime | None = None
    struck: tuple[Struck, ...] = ()
    leftovers: tuple[str, ...] = ()  # in Redis
    exits: tuple[Exit, ...] = ()
    max_losses: int = 3
