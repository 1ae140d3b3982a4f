"""P5 over months: schedulers that restart, die and are away, and not one moment too few or many."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.life import drive, plan, verdict

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.mark.parametrize(
    "begins",
    [datetime(2027, 3, 25, tzinfo=UTC), datetime(2027, 10, 29, tzinfo=UTC)],
    ids=["in spring", "in autumn"],  # of the north; the south changes its clocks in between
)
def test_what_became_of_each_moment_is_what_an_oracle_says(settings, begins) -> None:
    settings.JOB_SCHEDULES = {}
    life = plan.drawn(7, begins=begins, days=12, schedules=10, kills=10, outages=3)

    told = drive.live(life, seed=7, say=print)

    found = verdict.judge(life)
    assert found.wrongs == []
    assert told.kills == life.kills
    assert found.expected > 700
