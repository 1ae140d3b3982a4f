"""Whether a failed attempt is followed by another, and after how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from jobs.errors import Interrupted, TimedOut, WorkerLost

BackoffFunction = Callable[[int, BaseException], timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """A job class's own waits: `base`, doubled with every failed attempt, at most `cap`."""

    base: timedelta
    cap: timedelta

    def __post_init__(self) -> None:
        if min(self.base, self.cap) <= timedelta(0):
            raise ValueError("Backoff needs a positive base and a positive cap.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a job class retries: the errors that count, and the waits between attempts."""

    base: timedelta
    cap: timedelta
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    discard_on: tuple[type[BaseException], ...] = ()
    function: BackoffFunction | None = None  # (attempt, error) -> wait, in place of base and cap


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """What follows a failed attempt: another after `wait`, or none because of `reason`."""

    wait: timedelta | None
    reason: str = ""


def delay(policy: RetryPolicy, attempt: int, *, rand: Random) -> timedelta:
    """Return the wait before the attempt that follows `attempt`.

    Full jitter: a uniform draw from zero to ``policy.base * 2 ** (attempt - 1)``, at most
    ``policy.cap``.

    Args:
        policy: Base and cap of the wait; both positive.
        attempt: The attempt that just failed, counted from 1. Snoozes do not count.
        rand: Source of the jitter; tests pass a seeded one.

    Raises:
        ValueError: `attempt` is below 1.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if attempt < 1:
        raise ValueError(f"Attempts are counted from 1, not {attempt}.")
    # Past 2**64 any base has met any cap, and a float would overflow at 2**1024.
    longest = min(
        policy.base.total_seconds() * 2.0 ** min(attempt - 1, 64), policy.cap.total_seconds()
    )
    return timedelta(seconds=rand.uniform(0, longest))


def decide(
    policy: RetryPolicy,
    error: BaseException,
    *,
    attempt: int,
    max_attempts: int,
    rand: Random,
) -> RetryDecision:
    """Return what follows attempt number `attempt`, which failed with `error`.

    A `discard_on` class wins over a `retry_on` class; an error of neither is not retried, but for
    the house's own: WorkerLost, TimedOut and Interrupted.

    Raises:
        Exception: Whatever the job class's own `backoff` raises.
        TypeError: That `backoff` returned something other than a timedelta.
    """
    if isinstance(error, policy.discard_on) or not _is_retried(policy, error):
        return RetryDecision(wait=None, reason=f"{type(error).__name__} is not retried")
    if attempt >= max_attempts:
        return RetryDecision(wait=None, reason=f"attempt {attempt} of {max_attempts} was the last")
    if policy.function is None:
        return RetryDecision(wait=delay(policy, attempt, rand=rand))
    wait = policy.function(attempt, error)
    if not isinstance(wait, timedelta):
        raise TypeError(f"backoff must return a timedelta, not {type(wait).__name__}")
    return RetryDecision(wait=max(wait, timedelta(0)))


def _is_retried(policy: RetryPolicy, error: BaseException) -> bool:
    # A lost worker and a timeout say nothing about the job's own errors, which retry_on lists.
    if isinstance(error, (*policy.retry_on, WorkerLost, TimedOut, Interrupted)):
        return True
    # SystemExit and its like: who retries every Exception means these as well.
    return not isinstance(error, Exception) and Exception in policy.retry_on
