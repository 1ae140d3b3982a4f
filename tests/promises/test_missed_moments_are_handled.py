"""P5: what nobody was there for is made as `catch_up` says, and else recorded: without a hole."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.models import JobStatus, Schedule, ScheduleRun, clock
from jobs.schedules import control
from tests import doom, wait
from tests.schedulers import Schedulers

pytestmark = [pytest.mark.process]

MINUTE = timedelta(minutes=1)
MINUTELY = {"job": "Echo", "every": "1m", "overlap": "allow"}


def missed(schedulers: Schedulers, entries: dict, *, minutes: int) -> None:
    """Register `entries`, and have them wait as if nobody had been there for so long.

    Their newest moment came half a minute ago, so that nobody's start decides what is on time.
    """
    start_at = clock.read() - timedelta(days=400) - MINUTE / 2
    for entry in entries.values():
        entry["start_at"] = start_at.isoformat()
    schedulers.start_with(entries).kill()
    newest = start_at + (clock.read() - start_at) // MINUTE * MINUTE
    ScheduleRun.objects.filter(schedule_name__in=entries).delete()
    JobStatus.objects.filter(schedule__in=entries).delete()
    Schedule.objects.filter(name__in=entries).update(next_at=newest - (minutes - 1) * MINUTE)


def until_handled(*names: str) -> None:
    def are_handled() -> bool:
        return not Schedule.objects.filter(name__in=names, next_at__lte=clock.read()).exists()

    wait.until("all that was missed is handled", are_handled)


def runs_of(name: str) -> list[ScheduleRun]:
    return list(ScheduleRun.objects.filter(schedule_name=name).order_by("logical_time"))


def made(name: str) -> list[datetime]:
    jobs = JobStatus.objects.filter(schedule=name).order_by("logical_time")
    return [job.logical_time for job in jobs]


def assert_no_hole(name: str, *, at_least: int) -> None:
    moments = [run.logical_time for run in runs_of(name)]
    minutes = (moments[-1] - moments[0]) // MINUTE + 1
    assert len(moments) == minutes >= at_least, "a hole"
    skipped = [run for run in runs_of(name) if run.outcome == "skipped"]
    assert all(run.reason and run.job_id is None for run in skipped)
    assert len(skipped) + len(made(name)) == len(moments)


def test_each_policy_makes_what_it_says_and_records_the_rest(schedulers: Schedulers) -> None:
    entries = {
        "none": MINUTELY | {"catch_up": "none"},
        "last": MINUTELY | {"catch_up": "last"},
        "window": MINUTELY | {"catch_up": "10m"},
    }
    missed(schedulers, entries, minutes=30)

    schedulers.start_with(entries)
    schedulers.start_with(entries)
    until_handled(*entries)

    for name in entries:
        assert_no_hole(name, at_least=30)
        late = [run for run in runs_of(name) if run.created_at - run.logical_time > MINUTE / 6]
        moments = [run.logical_time for run in late]
        found_at = late[0].created_at
        wanted = {
            "none": [],
            "last": moments[-1:] if len(late) == len(runs_of(name)) else [],
            "window": [moment for moment in moments if found_at - moment <= 10 * MINUTE],
        }
        late_and_made = [moment for moment in made(name) if moment in moments]
        assert late_and_made == wanted[name], "another moment is made than catch_up says"


def test_kills_in_the_middle_of_a_long_gap_leave_no_hole(schedulers: Schedulers) -> None:
    entries = {"long": MINUTELY | {"catch_up": "2h"}}
    missed(schedulers, entries, minutes=9_000)

    doomed = [
        schedulers.start_with(entries, waits=False, doomed=f"SIGKILL:{point}")
        for point in ("5", doom.COMMIT, doom.COMMITTED)
    ]
    for each in doomed:  # chunk by chunk, so that there are some for all of them
        wait.until("its death", lambda each=each: each.process.poll() is not None)
    schedulers.start_with(entries)
    until_handled("long")

    assert_no_hole("long", at_least=9_000)
    assert made("long")[-1] == runs_of("long")[-1].logical_time
    assert 115 <= len(made("long")) <= 122, "another number than the window holds"


def test_who_catches_up_holds_up_no_moment_that_is_on_time(schedulers: Schedulers) -> None:
    entries = {f"behind-{number}": MINUTELY | {"catch_up": "none"} for number in range(3)}
    missed(schedulers, entries, minutes=9_900)
    behind = list(entries)
    entries["each-second"] = {"job": "Echo", "every": "1s", "overlap": "allow", "catch_up": "none"}

    schedulers.start_with(entries)
    until_handled(*behind)
    wait.until("moments of now", lambda: len(runs_of("each-second")) > 3)

    caught_up = ScheduleRun.objects.filter(schedule_name__in=behind, outcome="skipped")
    first, last = caught_up.earliest("id").id, caught_up.latest("id").id
    meanwhile = [run for run in runs_of("each-second") if first < run.id < last]
    assert meanwhile, "the past held up the present"
    assert {run.outcome for run in runs_of("each-second")} == {"dispatched"}


def test_a_paused_schedule_records_each_moment_and_makes_none(schedulers: Schedulers) -> None:
    entries = {"paused": MINUTELY | {"every": "1s", "catch_up": "1h"}}
    schedulers.start_with(entries)
    wait.until("its first moment", lambda: made("paused"))

    control.pause("paused", by="ann", note="the vendor moves house")
    before = len(runs_of("paused"))
    wait.until("moments in the pause", lambda: len(runs_of("paused")) > before + 3)
    control.resume("paused", by="bob")
    resumed = len(made("paused"))
    wait.until("moments after it", lambda: len(made("paused")) > resumed + 1)

    skipped = [run for run in runs_of("paused") if run.outcome == "skipped"]
    assert len(skipped) >= 3, "the pause is nowhere to be seen"
    assert {run.reason for run in skipped} == {"paused by ann: the vendor moves house"}
    moments = [run.logical_time for run in runs_of("paused")]
    assert len(moments) == (moments[-1] - moments[0]).total_seconds() + 1, "a hole"
