"""Every error of Jobsite in one tree, and the exceptions a job may raise to steer itself."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID


class Fault(TypedDict):
    """One thing wrong with a job's params: which param (a dotted path), and what about it."""

    param: str
    message: str


class JobError(Exception):
    """Something about a job is wrong.

    The docstring of a subclass is its default message; keyword arguments become attributes.
    """

    def __init__(self, message: str | None = None, **data: Any) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or type(self).__name__)
        self.data = data


# --- Declaring a job class ---


class InvalidDeclaration(JobError):
    """A job class is declared wrongly."""


class DuplicateJob(InvalidDeclaration):
    """Two job classes have one name."""

    def __init__(self, *, name: str, first: str, second: str) -> None:
        super().__init__(
            f"Two job classes are named {name!r}, whatever their case: {first} and {second}. "
            f'Rename one, or give one of them a name of its own: job_name = "...".',
            name=name,
        )


# --- Dispatching ---


class DispatchError(JobError):
    """The job can't be dispatched; no row was made."""


class UnknownJob(DispatchError):
    """No job class is registered under this name."""

    def __init__(self, name: str, *, known: Iterable[str] = ()) -> None:
        names = ", ".join(sorted(known)) or "none"
        super().__init__(
            f"No job class is named {name!r}. Registered are: {names}. "
            "Job classes are found in the jobs.py of every installed app.",
            name=name,
        )
        self.name = name


class UnknownQueue(DispatchError):
    """No queue has this name."""

    def __init__(self, queue: str, *, known: Iterable[str]) -> None:
        super().__init__(
            f"No queue is named {queue!r}. Queues are: {', '.join(known)}. Add it to RQ_QUEUES.",
            queue=queue,
        )
        self.queue = queue


class InvalidParams(DispatchError):
    """The params don't fit the job class. Lists every fault and repeats no value."""

    def __init__(self, job_name: str, faults: Sequence[Fault]) -> None:
        lines = "; ".join(f"{fault['param']}: {fault['message']}" for fault in faults)
        super().__init__(f"Params of {job_name} are wrong: {lines}", job_name=job_name)
        self.job_name = job_name
        self.faults = list(faults)


class InvalidOption(DispatchError):
    """An option given to dispatch is wrong."""


class UnknownParent(DispatchError):
    """A job is to depend on one that there is not."""

    def __init__(self, job_ids: Iterable[UUID]) -> None:
        named = ", ".join(map(str, job_ids))
        super().__init__(
            f"depends_on names jobs that don't exist, or not in this database: {named}."
        )


class InvalidWorkflow(DispatchError):
    """The steps of a workflow don't fit together."""


class ParamsTooLarge(DispatchError):
    """The params are larger than JOBS["MAX_PARAMS_BYTES"]."""

    def __init__(self, job_name: str, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"Params of {job_name} are {size_bytes:,} bytes of JSON, the limit is {limit_bytes:,}. "
            'Pass a reference (a path, a key, an id), or raise JOBS["MAX_PARAMS_BYTES"].',
            job_name=job_name,
        )


# --- Schedules ---


class ScheduleError(JobError):
    """What is asked of a schedule can't be done; nothing was changed."""


class UnknownSchedule(ScheduleError):
    """No schedule has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"No schedule is named {name!r}. Those of settings.JOB_SCHEDULES are known once "
            "rqscheduler has read them.",
            name=name,
        )
        self.name = name


class ScheduleExists(ScheduleError):
    """A schedule of this name exists."""

    def __init__(self, name: str, *, source: str) -> None:
        super().__init__(
            f"A schedule named {name!r} exists, made in the {source}: choose another name, or "
            "change that one.",
            name=name,
        )
        self.name = name


class ScheduleIsOfSettings(ScheduleError):
    """A schedule of settings.JOB_SCHEDULES can only be paused, resumed and run."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is declared in settings.JOB_SCHEDULES: change it there. Here it can be "
            "paused, resumed and run.",
            name=name,
        )
        self.name = name


class ScheduleChanged(ScheduleError):
    """Somebody has changed the schedule since its editor saw it."""

    def __init__(self, name: str, *, by: str, version: str) -> None:
        super().__init__(
            f"{by} has changed {name!r} meanwhile, so nothing was done: see what it says now.",
            name=name,
        )
        self.name = name
        self.version = version  # the present one


class InvalidSchedule(ScheduleError):
    """The schedule can't be read, or its jobs couldn't be made. Lists every fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        lines = " ".join(fault["message"] for fault in faults)
        super().__init__(f"The schedule is wrong: {lines}")
        self.faults = list(faults)


class RunRefused(ScheduleError):
    """The run could not be made: its moment has one. Try again."""


class InvalidBackfill(ScheduleError):
    """A backfill can't be started like this."""


class UnknownBackfill(ScheduleError):
    """There is no such backfill."""

    def __init__(self, backfill_id: int) -> None:
        super().__init__(f"There is no backfill {backfill_id}.", backfill_id=backfill_id)


class WrongBackfillStatus(ScheduleError):
    """The backfill's status, or that of another one of its schedule, forbids it."""


# --- Running ---


class AttemptError(JobError):
    """An attempt ended otherwise than by what the job itself raised."""


class InvalidResult(AttemptError):
    """What `_perform` returned is not JSON that PostgreSQL can hold."""


class ResultTooLarge(AttemptError):
    """The result is larger than JOBS["MAX_RESULT_BYTES"]."""

    def __init__(self, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"The result is {size_bytes:,} bytes of JSON, the limit is {limit_bytes:,}. "
            'Return a reference to it, or raise JOBS["MAX_RESULT_BYTES"].'
        )


class InvalidCheckpoint(AttemptError):
    """What a job wants to record as its position is not JSON, or too large."""


class TooManyRejected(AttemptError):
    """More rows were rejected than the job's `max_rejected` allows."""


class StaleAttempt(AttemptError):
    """The attempt ended, or wanted to record how far it is, after its job had moved on."""

    def __init__(self, *, job_id: UUID, claim: int) -> None:
        super().__init__(
            f"Job {job_id} has moved on since claim {claim}; this attempt's outcome was dropped.",
            job_id=job_id,
            claim=claim,
        )


class WorkerLost(AttemptError):
    """The attempt's process died or fell silent before it ended."""


class LoopHeld(WorkerLost):
    """The attempt held its runner's event loop for too long, and was killed with its runner."""

    def __init__(self, *, seconds: float, limit_seconds: float) -> None:
        super().__init__(
            f"The job held the event loop for {seconds:.1f} s (the limit, "
            f'JOBS["ASYNC_BLOCK_LIMIT"], is {limit_seconds:g} s), and no async job of its runner '
            "could go on: it was killed with the runner. Await what waits; give what computes or "
            "blocks to sync_to_async or asyncio.to_thread, or write `def _perform`."
        )


class TimedOut(AttemptError):
    """The attempt ran for longer than its timeout."""


class Interrupted(AttemptError):
    """The attempt was interrupted by its worker's stop."""


class JobTimeout(BaseException):
    """Raised in a job at its timeout; no Exception, so that `except Exception` can't keep it."""


class JobCancelled(BaseException):
    """Raised inside a job whose cancel was asked for; no Exception, for the same reason."""


class JobInterrupted(BaseException):
    """Raised inside a job that outlasts its worker's grace; the job is given back."""


# --- Steering a job's life ---


class NameTaken(JobError):
    """A living worker has this name."""


class NameUnclear(NameTaken):
    """A worker has this name, and only its next heartbeat, or none, tells whether it lives."""

    def __init__(self, message: str, *, heartbeat_at: datetime) -> None:
        super().__init__(message)
        self.heartbeat_at = heartbeat_at


# --- What a job may raise ---


class Snooze(Exception):
    """Raise in `_perform`: put the job back until later, without spending an attempt.

    Args:
        delay: How long to wait before the next start; positive.
    """

    def __init__(self, delay: timedelta) -> None:
        if delay.total_seconds() <= 0:
            raise ValueError(f"Snooze needs a positive delay, not {delay}.")
        super().__init__(f"snoozed for {delay}")
        self.delay = delay


class Cancel(Exception):
    """Raise in `_perform`: stop on purpose; the job ends cancelled and is not retried.

    Args:
        reason: Why, in one line for people.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
