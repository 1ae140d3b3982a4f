"""settings.JOBS as one frozen value: each setting with its unit and its default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """The project's settings; a key of settings.JOBS is a field's name in capitals."""

    # What a job class leaves out.
    queue: str = "default"
    max_attempts: int = 5
    timeout: timedelta = timedelta(minutes=10)  # of one attempt
    backoff_base: timedelta = timedelta(seconds=5)  # doubles with every failed attempt
    backoff_cap: timedelta = timedelta(hours=1)

    # Workers.
    grace: timedelta = timedelta(seconds=25)  # a stop waits this long for running jobs
    kill_after: timedelta = timedelta(seconds=3)  # after a timeout that the job swallowed
    heartbeat: timedelta = timedelta(seconds=5)
    lease: timedelta = timedelta(seconds=30)  # a worker silent for longer is dead
    leader_lease: timedelta = timedelta(seconds=10)  # renewed four times as often
    max_losses: int = 3  # a job that lost so many since its checkpoint moved ends failed
    max_interruptions: int = 5  # stops that spend no attempt
    batch_size: int = 64  # the most jobs a runner takes at once; 1: no batches
    runner_max_jobs: int = 10_000  # a runner is replaced after so many jobs
    runner_max_memory: int = 512 * MIB  # bytes of peak memory; likewise
    progress_interval: timedelta = timedelta(seconds=0.5)
    async_slots: int = 100  # async jobs that a runner runs at once; rqworker --async-slots
    async_threads: int = 4  # for their sync code and the ORM, each with a connection
    # A step of an async job that holds the event loop for longer loses its runner. Far above what a
    # slow step takes on a busy machine; so long its neighbours' timeouts and cancels may be late.
    async_block_limit: timedelta = timedelta(seconds=10)
    behind_pooler: bool = False  # a transaction pooler stands before PostgreSQL

    # The relay.
    relay_interval: timedelta = timedelta(seconds=0.5)
    lost_after: timedelta = timedelta(seconds=5)  # queued for so long and not in Redis: push again

    # The prune: how long ended jobs are kept; timedelta.max keeps for ever.
    retention_completed: timedelta = timedelta(days=7)
    retention_failed: timedelta = timedelta(days=30)
    retention_cancelled: timedelta = timedelta(days=30)
    retention_runs: timedelta = timedelta(days=400)  # of schedules, from their logical time
    prune_interval: timedelta = timedelta(minutes=1)

    # Bounds, in bytes.
    max_params_bytes: int = MIB
    max_result_bytes: int = MIB
    max_error_bytes: int = 64 * KIB
    max_import_bytes: int = 10 * 1024 * MIB  # of an ImportCsv source, unpacked

    # What the built-in jobs may touch; empty means nothing.
    truncatable_tables: tuple[str, ...] = ()  # "schema.table"
    import_tables: tuple[str, ...] = ()  # "schema.table"
    import_folders: tuple[str, ...] = ()
    import_hosts: tuple[str, ...] = ()  # "host" or "host:port"

    # From RQ_QUEUES, in its order.
    queues: tuple[str, ...] = ()


MAX_ASYNC_SLOTS = 10_000

# A batch has its place on the runner's board, and a killed worker repeats what it held.
_MOST = {"BATCH_SIZE": 64, "ASYNC_SLOTS": MAX_ASYNC_SLOTS}

KEYS = frozenset(field.name.upper() for field in fields(Conf)) - {"QUEUES"}


@cache
def current() -> Conf:
    """Return the settings in force. Unknown keys are a system check's business, not ours."""
    given: dict[str, Any] = {
        key.lower(): tuple(value) if isinstance(value, list | set) else value
        for key, value in getattr(settings, "JOBS", {}).items()
        if key in KEYS
    }
    return Conf(queues=tuple(settings.RQ_QUEUES), **given)


def fault(key: str, value: object) -> str:
    """Return what is wrong with the value of a known key of settings.JOBS; "" where nothing is."""
    default = getattr(Conf(), key.lower())
    match default:
        case bool():
            return "" if isinstance(value, bool) else "must be True or False"
        case int():
            return _count_fault(key, value)
        case timedelta():
            is_span = isinstance(value, timedelta) and value > timedelta(0)
            return "" if is_span else "must be a positive timedelta"
        case str():
            return "" if isinstance(value, str) and value else "must be a text"
        case _:
            return _list_fault(key, value)


def _count_fault(key: str, value: object) -> str:
    most = _MOST.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= (most or value):
        return ""
    return f"must be a whole number from 1{'' if most is None else f' to {most:,}'}"


def _list_fault(key: str, value: object) -> str:
    if not isinstance(value, list | tuple | set) or not all(isinstance(one, str) for one in value):
        return "must be a list of texts"
    odd = sorted(one for one in value if key.endswith("_TABLES") and "." not in one)
    return f"names {odd[0]!r}: write schema.table" if odd else ""


def _reset(*, setting: str, **_: Any) -> None:
    if setting in {"JOBS", "RQ_QUEUES"}:
        current.cache_clear()


setting_changed.connect(_reset, dispatch_uid="jobs.conf")
