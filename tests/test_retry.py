"""Waits follow the policy; what is retried follows the error."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import TimedOut, WorkerLost
from jobs.retry import Backoff, RetryPolicy, decide, delay

POLICY = RetryPolicy(base=timedelta(seconds=5), cap=timedelta(hours=1))


def decided(policy: RetryPolicy, error: BaseException, *, attempt: int = 1):
    return decide(policy, error, attempt=attempt, max_attempts=5, rand=Random(1))


def test_a_first_failure_is_retried_after_at_most_the_base() -> None:
    decision = decided(POLICY, ValueError())

    assert timedelta(0) <= decision.wait <= timedelta(seconds=5)


@given(st.integers(1, 5_000), st.integers(), st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_a_wait_is_between_zero_and_its_bound(
    attempt: int, seed: int, base: float, cap: float
) -> None:
    policy = RetryPolicy(base=timedelta(seconds=base), cap=timedelta(seconds=cap))

    wait = delay(policy, attempt, rand=Random(seed))

    exact = base * 2 ** min(attempt - 1, 60)
    assert timedelta(0) <= wait <= timedelta(seconds=min(exact, cap)) + timedelta(microseconds=1)


@given(st.integers(1, 12))
def test_the_jitter_is_full(attempt: int) -> None:
    waits = [delay(POLICY, attempt, rand=Random(seed)) for seed in range(400)]

    longest = min(timedelta(seconds=5) * 2 ** (attempt - 1), timedelta(hours=1))
    assert min(waits) < longest * 0.05
    assert max(waits) > longest * 0.95


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        delay(POLICY, 0, rand=Random(1))


def test_the_last_attempt_is_followed_by_none() -> None:
    decision = decided(POLICY, ValueError(), attempt=5)

    assert decision.wait is None
    assert decision.reason == "attempt 5 of 5 was the last"


def test_discard_on_wins_over_retry_on() -> None:
    policy = RetryPolicy(
        base=POLICY.base, cap=POLICY.cap, retry_on=(Exception,), discard_on=(KeyError,)
    )

    assert decided(policy, KeyError("x")).wait is None
    assert decided(policy, ValueError()).wait is not None


def test_an_error_outside_retry_on_is_not_retried_but_a_lost_worker_is() -> None:
    policy = RetryPolicy(base=POLICY.base, cap=POLICY.cap, retry_on=(ConnectionError,))

    assert decided(policy, ValueError()).wait is None
    assert decided(policy, WorkerLost("gone")).wait is not None
    assert decided(policy, TimedOut("late")).wait is not None


def test_a_class_own_function_decides_the_wait() -> None:
    policy = RetryPolicy(
        base=POLICY.base,
        cap=POLICY.cap,
        function=lambda attempt, error: timedelta(minutes=attempt),
    )

    assert decided(policy, ValueError(), attempt=3).wait == timedelta(minutes=3)


def test_a_backoff_needs_positive_waits() -> None:
    with pytest.raises(ValueError, match="positive"):
        Backoff(base=timedelta(0), cap=timedelta(seconds=1))
