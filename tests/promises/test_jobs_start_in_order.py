"""P7: within a queue jobs start in the order they were dispatched; the first queue goes first."""

from __future__ import annotations

import pytest

from jobs.models import JobStatus
from tests.jobs import Echo
from tests.workers import Workers

pytestmark = [pytest.mark.process]


def started_values() -> list[str]:
    return list(JobStatus.objects.order_by("started_at").values_list("params__value", flat=True))


def test_one_worker_starts_them_as_they_were_dispatched(workers: Workers) -> None:
    for number in range(20):
        Echo.dispatch(value=f"{number:02}")
    Echo.dispatch_many([{"value": f"{number:02}"} for number in range(20, 50)])

    workers.run("default", "--burst")

    assert started_values() == [f"{number:02}" for number in range(50)]


def test_high_is_empty_before_low_begins(workers: Workers) -> None:
    for number in range(10):
        Echo.dispatch(value=f"low {number}", queue="low")
        Echo.dispatch(value=f"high {number}", queue="high")

    workers.run("high", "low", "--burst")

    assert [value.split()[0] for value in started_values()] == ["high"] * 10 + ["low"] * 10
