"""What a supervisor knows of a runner's async attempts, and for whose fault it kills the runner."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from jobs import conf
from jobs.runner.lane.grip import Held
from jobs.runner.watch import Reason
from jobs.worker.aboard import SHOWN, Aboard, Overdue

FIRST, SECOND = (str(UUID(int=number)) for number in (1, 2))


def told(job_id: str, timeout_seconds: float = 60.0) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "claim": 1,
        "job_class": "AsyncSleep",
        "attempt": 1,
        "timeout_seconds": timeout_seconds,
    }


def held(job_id: str, seconds: float) -> Held:
    return Held(job_id=UUID(job_id), claim=1, since=time.monotonic() - seconds)


@pytest.fixture
def aboard(settings) -> Aboard:
    settings.JOBS = settings.JOBS | {"ASYNC_BLOCK_LIMIT": settings.JOBS["KILL_AFTER"] * 10}
    made = Aboard()
    made.claim([FIRST, SECOND])
    made.enter([told(FIRST), told(SECOND, timeout_seconds=-100.0)])
    return made


def test_what_has_been_claimed_is_lost_with_the_runner_until_it_has_left() -> None:
    aboard = Aboard()

    aboard.claim([FIRST, SECOND])
    assert aboard.ids == {FIRST, SECOND}
    aboard.enter([told(FIRST)])
    assert aboard.ids == {FIRST, SECOND}
    aboard.leave([FIRST, SECOND])
    assert not aboard


def test_one_that_outlasts_its_timeout_costs_the_runner(aboard: Aboard) -> None:
    assert aboard.overdue(None) == Overdue(job_id=SECOND, cause=Reason.TIMEOUT)


def test_one_that_is_told_to_stop_has_a_moment_for_it(aboard: Aboard) -> None:
    message = aboard.stop(aboard.rides[SECOND], Reason.CANCEL)

    assert message is not None
    assert (message["job_id"], message["claim"], message["reason"]) == (SECOND, 1, "cancel")
    assert aboard.overdue(None) is None
    assert aboard.stop(aboard.rides[SECOND], Reason.CANCEL) is None


def test_one_that_holds_the_loop_for_too_long_costs_the_runner(aboard: Aboard) -> None:
    found = aboard.overdue(held(FIRST, seconds=11))

    assert found is not None
    assert (found.job_id, found.cause) == (FIRST, None)
    assert found.held_seconds >= 11


def test_one_that_could_not_hear_its_timeout_has_a_moment_once_it_can(aboard: Aboard) -> None:
    assert aboard.overdue(held(FIRST, seconds=2)) is None
    assert aboard.overdue(None) is None


def test_one_that_holds_the_loop_itself_could_hear_it(aboard: Aboard) -> None:
    found = aboard.overdue(held(SECOND, seconds=2))

    assert found == Overdue(job_id=SECOND, cause=Reason.TIMEOUT)


def test_hundreds_are_counted_not_listed(aboard: Aboard) -> None:
    aboard.enter([told(str(UUID(int=number))) for number in range(300)])

    shown = aboard.describe()

    assert shown["async_count"] == 300
    assert shown["async_classes"] == [["AsyncSleep", 300]]
    assert len(shown["async"]) == SHOWN


def test_a_loop_that_is_held_by_nobody_known_costs_the_runner(aboard: Aboard) -> None:
    limit_seconds = conf.current().async_block_limit.total_seconds()
    since = time.monotonic() - limit_seconds - 1

    overdue = aboard.overdue(Held(job_id=None, claim=0, since=since))

    assert overdue is not None
    assert (overdue.job_id, overdue.cause) == ("", None)


def test_one_that_has_ended_is_not_killed_by_a_cancel_only_by_the_workers_end() -> None:
    aboard = Aboard()
    aboard.enter([told(FIRST) | {"is_over": True}])  # its row is held by somebody
    ride = aboard.rides[FIRST]
    before = ride.kill_at

    assert aboard.stop(ride, Reason.CANCEL) is None
    assert ride.kill_at == before
    assert aboard.stop(ride, Reason.INTERRUPT) is not None
    assert ride.cause is Reason.INTERRUPT
