"""What an attempt can end with, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from jobs.values import value


@value
class Completed:
    """`_perform` returned; started -> completed."""

    result: Any
    # The result as JSON, as it was when the attempt ended: the job's code may hold on to it, and it
    # is stored when others of its batch have run. Empty: neither written nor checked yet.
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt failed; started -> retrying where `wait` says after how long, else failed."""

    error_class: str
    message: str
    traceback: str
    wait: timedelta | None
    reason: str = ""  # why there is no further attempt
    # By how much the job's losses change, where the attempt's process was lost; below zero where
    # those before count no more.
    loss: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The job asked to be put back until later; started -> scheduled, no attempt spent."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The job stopped itself, or obeyed a cancel; started -> cancelled."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """The worker's stop interrupted it; started -> queued, no attempt spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbegun:
    """It stood in a batch and never began; started -> queued as if it had never been started.

    No attempt spent, none kept, no interruption counted.
    """


Outcome = Completed | Failed | Snoozed | Cancelled | GivenBack | Unbegun


@value
class Settlement:
    """One attempt's end, to be recorded: the claim is the fence."""

    job_id: UUID
    claim: int
    outcome: Outcome
    peak_memory: int | None = None  # bytes
    # When its work began and ended, by this machine's time.monotonic(); None: when its row was
    # started, and now.
    began_at: float | None = None
    ended_at: float | None = None
