"""Which faults strike, when and for how long: drawn from a seed before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

LEASE_SECONDS = 5.0
FIRST_AT_SECONDS = 4.0
GAP_SECONDS = (2.0, 7.0)


class Kind(StrEnum):
    """What is done to the system; the value is what the table says."""

    KILL_RUNNER = "SIGKILL of a runner"
    KILL_SUPERVISOR = "SIGKILL of a supervisor"
    KILL_MOTHER = "SIGKILL of a mother"
    KILL_DUTIES = "SIGKILL of the duties"
    KILL_WORKER = "SIGKILL of a whole worker"
    KILL_SCHEDULER = "SIGKILL of a scheduler"
    TERMINATE_WORKER = "SIGTERM of a worker"
    TERMINATE_TWICE = "SIGTERM of a worker, twice"
    TERMINATE_TREE = "SIGTERM of all its processes"
    PAUSE_RUNNER = "SIGSTOP of a runner"
    PAUSE_SUPERVISOR = "SIGSTOP of a supervisor, past its lease"
    PAUSE_WORKER = "SIGSTOP of a whole worker"
    PAUSE_WORKER_LONG = "SIGSTOP of a whole worker, past its lease"
    PAUSE_SCHEDULER = "SIGSTOP of a scheduler"
    FLUSH_REDIS = "FLUSHALL"
    KILL_REDIS = "SIGKILL of Redis, empty afterwards"
    STOP_REDIS = "stop of Redis, empty afterwards"
    PAUSE_REDIS = "SIGSTOP of Redis"
    CUT_REDIS = "every connection to Redis cut"
    RESTART_POSTGRES = "restart of PostgreSQL, fast"
    CRASH_POSTGRES = "restart of PostgreSQL, immediate"
    PAUSE_POSTGRES = "SIGSTOP of PostgreSQL"
    CUT_POSTGRES = "every connection to PostgreSQL cut"
    BOTH_DOWN = "Redis and PostgreSQL down at once"


# How long each lasts, where it lasts; a server that is stopped is away for so long.
LASTS_SECONDS: dict[Kind, tuple[float, float]] = {
    Kind.TERMINATE_TWICE: (0.1, 1.0),
    Kind.PAUSE_RUNNER: (1.0, 8.0),
    Kind.PAUSE_SUPERVISOR: (LEASE_SECONDS + 2, LEASE_SECONDS + 6),
    Kind.PAUSE_WORKER: (1.0, 3.0),
    Kind.PAUSE_WORKER_LONG: (LEASE_SECONDS + 2, LEASE_SECONDS + 6),
    Kind.PAUSE_SCHEDULER: (1.0, 8.0),
    Kind.KILL_REDIS: (0.0, 3.0),
    Kind.STOP_REDIS: (0.0, 3.0),
    Kind.PAUSE_REDIS: (0.5, 4.0),
    Kind.RESTART_POSTGRES: (0.0, 1.0),
    Kind.CRASH_POSTGRES: (0.0, 3.0),
    Kind.PAUSE_POSTGRES: (0.5, 3.0),
    Kind.BOTH_DOWN: (0.5, 4.0),
}

STRIKE_POSTGRES = frozenset(
    {
        Kind.RESTART_POSTGRES,
        Kind.CRASH_POSTGRES,
        Kind.PAUSE_POSTGRES,
        Kind.CUT_POSTGRES,
        Kind.BOTH_DOWN,
    }
)
# While one of these is on, and for a while after, a scheduler may be late.
HINDERS_TICKS = STRIKE_POSTGRES | {Kind.KILL_SCHEDULER, Kind.PAUSE_SCHEDULER}
# No attempt runs in a scheduler, and none depends on Redis.
LOSE_NO_ATTEMPT = frozenset(
    {
        Kind.KILL_SCHEDULER,
        Kind.PAUSE_SCHEDULER,
        Kind.FLUSH_REDIS,
        Kind.KILL_REDIS,
        Kind.STOP_REDIS,
        Kind.PAUSE_REDIS,
        Kind.CUT_REDIS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of the plan."""

    at_seconds: float  # from the start
    kind: Kind
    lasts_seconds: float
    target: float  # from 0 to below 1: which of the processes that are there
    second: float  # likewise: which of that one's


def draw(seed: int, *, seconds: float) -> tuple[Fault, ...]:
    """Return the faults of a run of `seconds`: the same for the same seed, in order of time.

    Kinds are dealt from a shuffled deck, so that each has its turn before any has its next.
    """
    rand = Random(seed)
    kinds = _deal(rand)
    faults = []
    at_seconds = FIRST_AT_SECONDS
    while at_seconds < seconds:
        kind = next(kinds)
        faults.append(
            Fault(
                at_seconds=at_seconds,
                kind=kind,
                lasts_seconds=rand.uniform(*LASTS_SECONDS.get(kind, (0.0, 0.0))),
                target=rand.random(),
                second=rand.random(),
            )
        )
        at_seconds += rand.uniform(*GAP_SECONDS)
    return tuple(faults)


def _deal(rand: Random) -> Iterator[Kind]:
    while True:
        deck = list(Kind)
        rand.shuffle(deck)
        yield from deck
