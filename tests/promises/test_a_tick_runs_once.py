"""P5: a scheduled moment makes at most one job, however many schedulers run and die."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import psutil
import pytest
from django.db import connection, transaction

from jobs.models import JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import sync, ticking
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of
from tests import doom, wait
from tests.clock import Clock
from tests.schedulers import Scheduler, Schedulers

pytestmark = [pytest.mark.process]

NIGHTLY = "nightly"


def jobs_of(name: str, **fields: object) -> list[JobStatus]:
    return list(JobStatus.objects.filter(schedule=name, **fields).order_by("logical_time"))


def assert_each_moment_has_one_job(name: str) -> None:
    runs = ScheduleRun.objects.filter(schedule_name=name).order_by("logical_time")
    assert [run.job for run in runs] == jobs_of(name), "a run has no job"
    assert [run.logical_time for run in runs] == [job.logical_time for job in jobs_of(name)]
    assert len({run.logical_time for run in runs}) == len(runs)


def miss_a_moment(*, newest: int = 1) -> list[datetime]:
    """Have the nightly schedule wait since its last moments, as if nobody had been there."""
    now, moments = clock.read(), []
    rule = rule_of(Schedule.objects.get(name=NIGHTLY))
    for _ in range(newest):
        before = moments[0] - timedelta(seconds=1) if moments else now
        moment = cron.latest(rule, since=before - timedelta(days=3), until=before)
        assert moment is not None
        moments.insert(0, moment)
    Schedule.objects.filter(name=NIGHTLY).update(next_at=moments[0])
    return moments


def is_made() -> bool:
    return Schedule.objects.filter(name=NIGHTLY, next_at__gt=clock.read()).exists()


@contextmanager
def nothing_can_be_dispatched() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE job_statuses IN SHARE ROW EXCLUSIVE MODE")
        yield


def is_one_in_the_middle_of_a_tick() -> bool:
    # The most overdue one: the nightly. The duties wait for the table as well.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND datname = current_database() "
            "AND relation = 'job_statuses'::regclass "
            "AND query SIMILAR TO '%(INSERT INTO job_statuses|WITH terms AS)%')"
        )
        return cursor.fetchone()[0]


def test_two_schedulers_of_which_one_is_killed_again_and_again(schedulers: Schedulers) -> None:
    schedulers.start()
    for number in range(4):
        doomed = schedulers.start()
        wait.until("two more", lambda number=number: len(jobs_of("each-second")) >= 2 * number + 2)
        doomed.kill()

    wait.until("another one", lambda: len(jobs_of("each-second")) >= 9)
    for scheduler in schedulers.all:
        scheduler.kill()
    assert_each_moment_has_one_job("each-second")


def test_a_moment_whose_schedulers_die_in_the_middle_of_it_is_made_whole(
    schedulers: Schedulers,
) -> None:
    schedulers.start().kill()
    (moment,) = miss_a_moment()
    with nothing_can_be_dispatched():
        # The second one waits for the first to read its schedules.
        doomed = [schedulers.start(), schedulers.start(waits=False)]
        wait.until("one is in the middle of a tick", is_one_in_the_middle_of_a_tick)
        for scheduler in doomed:
            scheduler.kill()

    schedulers.start()
    schedulers.start()

    wait.until("the job of the missed moment", lambda: jobs_of(NIGHTLY))
    wait.until("the next moment is to come", is_made)
    assert [job.logical_time for job in jobs_of(NIGHTLY)] == [moment]
    assert_each_moment_has_one_job(NIGHTLY)


def test_a_moment_that_comes_again_makes_no_second_job(schedulers: Schedulers) -> None:
    schedulers.start()
    schedulers.start()
    (moment,) = miss_a_moment()
    wait.until("the job of the missed moment", lambda: jobs_of(NIGHTLY))
    wait.until("the next moment is to come", is_made)

    miss_a_moment()  # the database's clock was set back, or a backup restored
    wait.until("the next moment is to come again", is_made)

    made = [job.logical_time for job in jobs_of(NIGHTLY)]
    assert made == [moment], "the moment was made again"


def test_of_the_moments_that_nobody_was_there_for_the_newest_is_made(
    schedulers: Schedulers,
) -> None:
    schedulers.start().kill()
    moments = miss_a_moment(newest=3)

    schedulers.start()
    schedulers.start()

    wait.until("the next moment is to come", is_made)
    made = [job.logical_time for job in jobs_of(NIGHTLY)]
    assert made, "what was missed is forgotten"
    assert made == moments[-1:], "not the newest alone"


# Each second is made, late ones too: in what they leave a hole would be seen.
EACH_SECOND = {
    "each-second": {"job": "Echo", "every": "1s", "overlap": "allow", "catch_up": "1h"},
}


def assert_no_moment_is_missing(name: str = "each-second") -> None:
    assert_each_moment_has_one_job(name)
    moments = [job.logical_time for job in jobs_of(name)]
    assert len(moments) == len(set(moments)), "a moment was made twice"
    seconds = (moments[-1] - moments[0]).total_seconds()
    assert len(moments) == seconds + 1, "a moment was passed over"


def has_died(scheduler: Scheduler) -> bool:
    return scheduler.process.poll() == -signal.SIGKILL


def test_a_kill_between_any_two_statements_of_a_tick_leaves_nothing_half_done(
    schedulers: Schedulers,
) -> None:
    doomed = [
        schedulers.start_with(EACH_SECOND, waits=False, doomed=f"SIGKILL:{point}")
        for point in doom.POINTS
    ]
    for point, scheduler in zip(doom.POINTS, doomed, strict=True):
        wait.until(f"the one that dies at {point}", lambda scheduler=scheduler: has_died(scheduler))

    survivor = schedulers.start_with(EACH_SECOND)
    before = len(jobs_of("each-second"))
    wait.until("new moments", lambda: len(jobs_of("each-second")) > before + 2)
    survivor.kill()
    assert_no_moment_is_missing()


def test_what_a_scheduler_that_is_stopped_in_the_middle_of_a_tick_holds_another_makes(
    schedulers: Schedulers,
) -> None:
    stopped = schedulers.start_with(EACH_SECOND, doomed="SIGSTOP:5")
    wait.until("it stops", lambda: psutil.Process(stopped.process.pid).status() == "stopped")
    before = len(jobs_of("each-second"))
    other = schedulers.start_with(EACH_SECOND)

    wait.until("moments of the other", lambda: len(jobs_of("each-second")) > before + 2)
    stopped.process.send_signal(signal.SIGCONT)  # it wakes up in what it believes is its tick
    other.kill()
    made_by_both = len(jobs_of("each-second"))
    wait.until("moments of the first", lambda: len(jobs_of("each-second")) > made_by_both + 2)
    stopped.kill()

    assert_no_moment_is_missing()


def test_a_clock_that_is_set_back_and_forth_makes_each_moment_once(clock: Clock, settings) -> None:
    settings.JOB_SCHEDULES = {
        "hourly": {"job": "Echo", "cron": "0 * * * *", "overlap": "allow", "catch_up": "365d"}
    }
    sync.sync()
    for hours in (3, -2, 30, -31, 1, 40):
        clock.advance(timedelta(hours=hours))
        ticking.make_due(lambda: False)

    moments = [job.logical_time for job in jobs_of("hourly")]
    hours = {later - earlier for earlier, later in pairwise(moments)}
    assert hours == {timedelta(hours=1)}, "a moment was passed over"
    assert len(moments) == 41
    assert_each_moment_has_one_job("hourly")


def test_a_moment_that_comes_again_cancels_nobody(clock: Clock, settings) -> None:
    entry = {"job": "Echo", "cron": "0 * * * *", "overlap": "cancel_running"}
    settings.JOB_SCHEDULES = {"hourly": entry}
    sync.sync()
    clock.advance(timedelta(hours=1))
    ticking.make_due(lambda: False)
    (job,) = jobs_of("hourly")

    clock.advance(timedelta(hours=-1))
    for declared in ({}, {"hourly": entry}):  # a deploy that takes it out, and one that mends that
        settings.JOB_SCHEDULES = declared
        sync.sync()
    assert Schedule.objects.get().next_at == job.logical_time
    clock.advance(timedelta(hours=1))
    ticking.make_due(lambda: False)

    assert Schedule.objects.get().next_at > job.logical_time
    job.refresh_from_db()
    assert job.status == "queued", "it was cancelled, and nothing made in its place"
    assert_each_moment_has_one_job("hourly")
