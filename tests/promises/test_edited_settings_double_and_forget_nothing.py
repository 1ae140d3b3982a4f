"""P5, over a deploy: a restart with other settings neither doubles a moment nor forgets one.

Whatever is killed in its middle, and while an older release still runs beside the newer.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from jobs.models import JobStatus, Schedule, ScheduleChange, ScheduleRun, clock
from jobs.schedules import control, declaration, sync
from jobs.schedules.moments import cron
from jobs.schedules.moments.cron import Rule
from tests import wait
from tests.schedules.newer_settings import JOB_SCHEDULES as NEWER
from tests.schedules.process_settings import JOB_SCHEDULES as OLDER

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

NEWER_RELEASE = {"DJANGO_SETTINGS_MODULE": "tests.schedules.newer_settings"}
# The advisory lock of syncs, in this test's database.
A_TURN = (
    "turn.locktype = 'advisory' AND turn.granted AND turn.database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
HOURLY = {"job": "Echo", "every": timedelta(hours=1), "params": {"value": "x"}}


def rows():
    return {row.name: declaration.entry_of(row) for row in Schedule.objects.all()}


def declared(schedules):
    found = {name: declaration.read(name, entry)[0] for name, entry in schedules.items()}
    return {
        name: declaration.entry_of(Schedule(name=name, **one.columns()))
        for name, one in found.items()
    }


def changes():
    return Counter(ScheduleChange.objects.values_list("schedule_name", "verb"))


def is_a_sync_held_up():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks turn JOIN pg_locks held_up USING (pid) "
            f"WHERE {A_TURN} AND NOT held_up.granted"
        )
        return cursor.fetchone()[0]


def is_no_sync_at_work():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM pg_locks turn WHERE {A_TURN}")
        return cursor.fetchone() == (0,)


@contextmanager
def locked(table):
    # Reads go on; who writes there, or locks a row, waits.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


@contextmanager
def commits_held_up(_):
    """Hold up who commits a change to a schedule, as the last thing of its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tests_gate ()")
        cursor.execute(
            "CREATE FUNCTION tests_wait() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN LOCK TABLE tests_gate IN ACCESS SHARE MODE; RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER tests_wait AFTER INSERT ON job_schedule_changes "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tests_wait()"
        )
        try:
            with transaction.atomic():
                cursor.execute("LOCK TABLE tests_gate IN ACCESS EXCLUSIVE MODE")
                yield
        finally:
            cursor.execute("DROP TRIGGER tests_wait ON job_schedule_changes")
            cursor.execute("DROP FUNCTION tests_wait")
            cursor.execute("DROP TABLE tests_gate")


@pytest.mark.parametrize(
    ("hold_up", "at"),
    [
        (locked, "job_schedules"),
        (locked, "job_schedule_changes"),
        (locked, "job_schedule_runs"),
        (locked, "job_statuses"),
        (commits_held_up, "the commit"),
    ],
)
def test_a_sync_that_is_killed_is_done_wholly_or_not_at_all(schedulers, settings, hold_up, at):
    settings.JOB_SCHEDULES = {"each-second": HOURLY, "gone": HOURLY}
    sync.sync()
    missed = cron.previous_before(Rule(every=HOURLY["every"]), clock.read())
    Schedule.objects.filter(name="each-second").update(next_at=missed)
    before, changed_before = rows(), changes()

    with hold_up(at):
        scheduler = schedulers.start(waits=False)
        wait.until("a sync in its middle", is_a_sync_held_up)
        scheduler.kill()
    wait.until("the end of the killed one's transaction", is_no_sync_at_work)

    is_undone = (rows(), changes()) == (before, changed_before)
    is_done = rows() == declared(OLDER)
    assert is_undone or (is_done and hold_up is commits_held_up), "half of a sync is kept"
    schedulers.start().kill()
    assert rows() == declared(OLDER)
    assert changes() - changed_before == Counter(
        {
            ("each-second", "changed"): 1,
            ("gone", "deleted"): 1,
            **{(name, "created"): 1 for name in OLDER if name != "each-second"},
        }
    )
    jobs = JobStatus.objects.filter(schedule="each-second", logical_time=missed)
    runs = ScheduleRun.objects.filter(schedule_name="each-second", logical_time=missed)
    assert runs.count() == 1, "what was due under the old rule is forgotten"
    assert [job.id for job in jobs] == [run.job_id for run in runs]


def test_schedulers_that_start_at_once_write_each_change_once(schedulers):
    started = [schedulers.start(waits=False) for _ in range(4)]
    wait.until("all schedules to be read", lambda: all(one.is_up for one in started))

    assert rows() == declared(OLDER)
    assert changes() == Counter({(name, "created"): 1 for name in OLDER})


def test_an_older_release_that_still_runs_leaves_the_newer_ones_settings_alone(schedulers):
    older = schedulers.start()
    control.pause("nightly", by="ann", note="until the release is out")
    newer = schedulers.start(**NEWER_RELEASE)
    assert rows() == declared(NEWER), "the older release brought its settings back"
    newer.kill()
    alone_since = clock.read()

    # It makes what the newer release declared.
    made = ScheduleRun.objects.filter(logical_time__gt=alone_since)
    wait.until(
        "ticks of the older one alone",
        lambda: made.filter(schedule_name="each-second").count() >= 4,
    )

    assert older.process.poll() is None
    assert rows() == declared(NEWER), "the older release brought its settings back"
    assert Schedule.objects.get(name="nightly").pause_note == "until the release is out"
    values = JobStatus.objects.filter(schedule="each-second", logical_time__gt=alone_since)
    assert {job.params["value"] for job in values} == {"newer"}
    assert made.filter(schedule_name="also-each-second").count() >= 3
    assert changes()["truncate", "deleted"] == 1


def test_a_job_class_that_an_older_release_does_not_know_costs_no_moment(schedulers):
    older = schedulers.start()
    newer = schedulers.start(**NEWER_RELEASE)
    newer.kill()
    alone_since = clock.read()
    later = ScheduleRun.objects.filter(logical_time__gt=alone_since)
    wait.until(
        "ticks of the older one alone",
        lambda: later.filter(schedule_name="each-second").count() >= 3,
    )
    older.kill()

    schedulers.start(**NEWER_RELEASE)

    of_the_newer = later.filter(schedule_name="of-the-newer")
    wait.until("moments of the new job class", lambda: of_the_newer.count() >= 4)
    made = JobStatus.objects.filter(schedule="of-the-newer", logical_time__gt=alone_since)
    refused = of_the_newer.exclude(outcome="dispatched").values_list("reason", flat=True)
    assert set(refused) == set(), "the older release used up moments of a class it doesn't know"
    assert made.count() >= 4


def test_schedulers_with_other_settings_in_turn_double_nothing_and_say_what_they_change(schedulers):
    each_second = {"job": "Echo", "every": "1s", "params": {"value": "x"}, "overlap": "allow"}
    mine = {"both": each_second, "mine": each_second}
    theirs = {"both": {**each_second, "every": "2s"}, "theirs": each_second}
    made = ScheduleRun.objects.filter(outcome="dispatched")
    mine_in_all = made.filter(schedule_name="mine")
    one = schedulers.start_with(mine)
    wait.until("moments of its own", lambda: mine_in_all.count() >= 2)

    other = schedulers.start_with(theirs)

    assert "1 new (theirs), 1 changed (both), 1 removed (mine)" in other.log
    changed, before = changes(), mine_in_all.count()
    wait.until("moments", lambda: made.filter(schedule_name="theirs").count() >= 4)
    assert (rows(), changes()) == (declared(theirs), changed), "they take turns for ever"
    assert mine_in_all.count() == before
    one.kill()
    again = schedulers.start_with(mine)
    assert "1 new (mine), 1 changed (both), 1 removed (theirs)" in again.log
    wait.until("moments of its own again", lambda: mine_in_all.count() >= before + 2)
    again.kill()
    other.kill()
    assert rows() == declared(mine)
    jobs = Counter(JobStatus.objects.values_list("schedule", "logical_time"))
    assert set(jobs.values()) == {1}, "a moment has two jobs"
    even = sorted(at for name, at in jobs if name == "both" and at.second % 2 == 0)
    assert even[-1] - even[0] == timedelta(seconds=2 * (len(even) - 1)), "a moment is forgotten"
