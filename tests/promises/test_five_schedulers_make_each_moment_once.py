"""P5: many schedules of one second, five schedulers: each moment once, and within a second.

The same at full size is `make many`.
"""

from __future__ import annotations

import pytest

from tests.schedulers import Schedulers
from tests.schedules import many

pytestmark = [pytest.mark.process]


def test_five_schedulers_make_each_moment_of_many_schedules_once(schedulers: Schedulers) -> None:
    found = many.make(many.Size(schedulers=5, schedules=40, seconds=5), schedulers)

    assert found.expected == 200
    assert found.doubles == 0, "a moment was made twice"
    assert found.missing == 0, "a moment was passed over"
    assert (found.runs, found.jobs) == (200, 200)


def test_a_thousand_schedules_of_one_second_are_made_soon(schedulers: Schedulers) -> None:
    size = many.Size(schedulers=1, schedules=1_000, seconds=10, every_seconds=5)

    found = many.make(size, schedulers)

    assert found.doubles == found.missing == 0
    # Within one second on a machine of their own (docs/schedules.md); here others are at work.
    assert found.pushed[int(0.99 * len(found.pushed))] < 5, "a thousand schedules wait in line"
