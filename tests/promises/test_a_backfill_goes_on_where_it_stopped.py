"""P5: a backfill makes each of its moments once, a few at a time, whoever dies meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.models import Backfill, JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import backfill
from jobs.schedules.backfill import Wanted
from jobs.schedules.rules import rule_of
from tests import others, wait
from tests.schedulers import Schedulers
from tests.workers import Workers

pytestmark = [pytest.mark.process]

NIGHTLY = "nightly"  # of tests.schedules.process_settings; its job fails
LONG_AGO = timedelta(days=100)


def start(*, days: int, max_active: int) -> Backfill:
    """Want the nights of so many days that are long past."""
    from_at = clock.read().replace(hour=12, minute=0, second=0, microsecond=0) - LONG_AGO
    wanted = Wanted(
        schedule_name=NIGHTLY,
        from_at=from_at,
        to_at=from_at + timedelta(days=days),
        max_active=max_active,
    )
    return backfill.start(wanted, by="ann")


def runs_of(wish: Backfill) -> list[ScheduleRun]:
    found = ScheduleRun.objects.filter(schedule_name=NIGHTLY, logical_time__lte=wish.to_at)
    return list(found.order_by("logical_time"))


def jobs_of(wish: Backfill) -> list[JobStatus]:
    found = JobStatus.objects.filter(schedule=NIGHTLY, logical_time__lte=wish.to_at)
    return list(found.order_by("logical_time"))


def moments_of(wish: Backfill) -> list[datetime]:
    return [job.logical_time for job in jobs_of(wish)]


def assert_each_moment_is_made_once(wish: Backfill) -> None:
    moments = moments_of(wish)
    assert len(set(moments)) == len(moments), "a moment was made twice"
    assert len(moments) == wish.total, "moments were passed over"
    assert [run.job for run in runs_of(wish)] == jobs_of(wish)
    assert {run.backfill_id for run in runs_of(wish)} == {wish.id}


def until_looked_at(wish: Backfill, *, times: int) -> None:
    """Wait until schedulers have seen to it so many times more."""
    seen = {wish.looked_at}

    def look() -> bool:
        wish.refresh_from_db()
        seen.add(wish.looked_at)
        return len(seen) > times

    wait.until(f"{times} looks at the backfill", look)


def test_schedulers_that_are_killed_again_and_again_make_each_moment_once(
    schedulers: Schedulers, workers: Workers
) -> None:
    schedulers.start()
    workers.start("low")
    wish = start(days=20, max_active=5)

    for number in range(3):
        doomed = schedulers.start()
        wait.until("more", lambda number=number: len(jobs_of(wish)) >= 5 * (number + 1))
        doomed.kill()
    wait.until("its end", lambda: Backfill.objects.get(pk=wish.pk).status == "completed")

    wish.refresh_from_db()
    assert wish.made == wish.total == 20
    assert_each_moment_is_made_once(wish)


def test_what_dies_in_the_middle_of_it_leaves_nothing_half_done(schedulers: Schedulers) -> None:
    schedulers.start().kill()
    wish = start(days=6, max_active=10)
    nights = list(backfill.moments_ahead(rule_of(Schedule.objects.get(name=NIGHTLY)), wish))
    with others.elsewhere() as cursor:
        # The scheduler has made the fourth night when it waits for this one.
        cursor.execute(
            "INSERT INTO job_schedule_runs (schedule_name, logical_time, outcome, reason, kind, "
            "made_by, kept_status, created_at) "
            "VALUES (%s, %s, 'dispatched', '', 'tick', '', '', now())",
            [NIGHTLY, nights[4]],
        )
        doomed = schedulers.start()
        others.until_blocked()
        doomed.kill()
    assert moments_of(wish) == []

    schedulers.start()

    until_looked_at(wish, times=1)
    assert_each_moment_is_made_once(wish)


def test_two_schedulers_keep_to_what_may_live_at_once(schedulers: Schedulers) -> None:
    schedulers.start()
    schedulers.start()

    wish = start(days=30, max_active=3)
    until_looked_at(wish, times=4)

    assert len(jobs_of(wish)) == 3, "another number lives than may at once"
