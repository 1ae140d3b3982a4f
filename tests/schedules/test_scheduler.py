from __future__ import annotations

import signal
import time
from datetime import timedelta
from functools import partial
from itertools import pairwise

import django_rq
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from jobs.models import JobStatus, Lease, Schedule, ScheduleRun
from jobs.schedules import backfill, deeds, sync, tick
from jobs.schedules.backfill import Wanted
from jobs.statuses import Status
from tests import wait
from tests.make import make_job
from tests.schedules.breaking import BreakAtDispatch, LoseDatabase
from tests.servers import OwnPostgres

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

SHOWN = {
    "schedule-each-second",
    "schedule-no-such-class",
    "schedule-bad-params",
    "schedule-truncate",
    "schedule-nightly",
}


@pytest.fixture
def start(schedulers):
    """Return a function that starts a scheduler on the test's database."""
    return partial(schedulers.start, waits=False)


def wait_until(look):
    return wait.until("what the schedulers should do", look)


def made(name="each-second"):
    return list(ScheduleRun.objects.filter(schedule_name=name).order_by("logical_time"))


def stop(scheduler, signal_number=signal.SIGTERM):
    began = time.monotonic()
    scheduler.process.send_signal(signal_number)
    code = scheduler.process.wait(wait.LIMIT_SECONDS)
    return code, time.monotonic() - began


def shown(redis):
    keys = redis.zrange("rq:scheduler:scheduled_jobs", 0, -1)
    return {key.decode() for key in keys}


def test_each_moment_becomes_one_job_however_many_schedulers_run(start):
    schedulers = [start(), start(), start()]
    wait_until(lambda: len(made()) >= 6)

    codes = [stop(scheduler)[0] for scheduler in schedulers]

    runs = made()
    jobs = JobStatus.objects.filter(schedule="each-second")
    assert codes == [0, 0, 0]
    assert {run.job_id for run in runs} == {job.id for job in jobs}
    assert len(runs) == len(jobs) == len({job.logical_time for job in jobs})
    assert {b.logical_time - a.logical_time for a, b in pairwise(runs)} == {timedelta(seconds=1)}


def test_a_schedules_job_runs_to_its_end(start, workers):
    workers.start("low")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS public.daily_stats (day date)")
        cursor.execute("INSERT INTO public.daily_stats (day) VALUES (current_date)")

    start()

    job = wait_until(
        lambda: JobStatus.objects.filter(schedule="truncate", status=Status.COMPLETED).first(),
    )
    assert job.result == "Table public.daily_stats truncated successfully"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.daily_stats")
        assert cursor.fetchone() == (0,)
        cursor.execute("DROP TABLE public.daily_stats")


def test_a_bad_entry_is_recorded_and_stops_no_other(start):
    scheduler = start()

    wait_until(lambda: len(made()) >= 2 and len(made("bad-params")) >= 2)

    assert {(run.outcome, run.job_id) for run in made("bad-params")} == {("refused", None)}
    assert {run.outcome for run in made()} == {"dispatched"}
    # Another release may know it.
    assert made("no-such-class") == []
    assert "other schedulers may make what is due of no-such-class" in scheduler.log
    assert scheduler.process.poll() is None


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon(start, signal_number):
    scheduler = start()
    wait_until(made)

    code, seconds = stop(scheduler, signal_number)

    assert code == 0
    assert seconds < 5  # one for a tick in the making, the rest for a busy machine


def test_a_scheduler_whose_database_hangs_ends_all_the_same(start):
    scheduler = start()
    wait_until(made)

    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE job_schedules IN ACCESS EXCLUSIVE MODE")
        wait_until(lambda: waits_for_a_lock(cursor))
        code, seconds = stop(scheduler)
        cursor.execute("ROLLBACK")

    assert code == 0
    assert seconds < 5  # one for the tick in the making, the rest for a busy machine


def waits_for_a_lock(cursor):
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'job_schedules'::regclass"
    )
    return cursor.fetchone()[0]


def test_ticks_go_on_after_its_connection_was_cut(start):
    scheduler = start()
    wait_until(made)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1
    before = len(made())

    wait_until(lambda: len(made()) >= before + 2)
    assert scheduler.process.poll() is None


def test_ticks_go_on_while_redis_is_away(start):
    scheduler = start(REDIS_URL="redis://127.0.0.1:1/0")

    wait_until(lambda: len(made()) >= 2)

    assert scheduler.process.poll() is None
    assert JobStatus.objects.filter(schedule="each-second").count() >= 2


def test_the_dashboards_entries_have_fixed_ids_and_no_redacted_values(start, redis):
    scheduler = start()
    wait_until(lambda: shown(redis) == SHOWN)
    stop(scheduler)
    scheduler = start()
    wait_until(lambda: "registered, 0 new" in scheduler.log)
    stop(scheduler)

    entry = redis.hgetall("rq:job:schedule-nightly")
    next_at = Schedule.objects.get(name="nightly").next_at
    assert shown(redis) == SHOWN
    assert b'"cron_string": "0 2 * * *"' in entry[b"meta"]
    assert redis.zscore("rq:scheduler:scheduled_jobs", "schedule-nightly") == next_at.timestamp()
    scheduler = django_rq.get_scheduler("default")
    by_id = {job.id: job for job in scheduler.get_jobs()}
    assert by_id["schedule-nightly"].func_name == "Secretive"
    assert by_id["schedule-nightly"].kwargs == {"user": "ann", "password": "[redacted]"}


def test_entries_that_a_flush_took_come_back_and_gone_ones_go(start, redis):
    start()
    wait_until(lambda: shown(redis) == SHOWN)

    redis.flushdb()
    redis.zadd("rq:scheduler:scheduled_jobs", {"schedule-long-gone": 1, "somebody-elses": 1})

    wait_until(lambda: shown(redis) == {*SHOWN, "somebody-elses"})


def test_the_dashboards_page_lists_the_schedules(start, redis, admin_client):
    start()
    wait_until(lambda: shown(redis) == SHOWN)

    answer = admin_client.get(reverse("admin:django_rq_scheduler_jobs", args=[0]))

    assert answer.status_code == 200
    assert "schedule-nightly" in answer.text
    assert "0 2 * * *" in answer.text
    assert "hunter22" not in answer.text


def test_a_site_with_only_a_scheduler_does_the_duties(start):
    job = make_job(status=Status.SCHEDULED, due_at=timezone.now() - timedelta(minutes=1))

    scheduler = start()

    wait_until(lambda: JobStatus.objects.get(id=job.id).status == Status.QUEUED)
    assert stop(scheduler)[0] == 0
    assert not Lease.objects.exists()


@pytest.mark.usefixtures("redis")
def test_an_unforeseen_error_is_recorded_and_stops_no_other(settings):
    settings.JOB_SCHEDULES = {
        "breaks": {
            "job": BreakAtDispatch.spec.name,
            "every": timedelta(days=1),
            "params": {"secret": "hunter22"},
        },
        "works": {"job": "Echo", "every": timedelta(days=1)},
    }
    sync.sync()
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=2))

    django_rq.get_scheduler("default").run(burst=True)

    (*_, broken), (*_, worked) = made("breaks"), made("works")
    assert (broken.outcome, worked.outcome) == ("refused", "dispatched")
    assert "RuntimeError" in broken.reason
    assert "hunter22" not in broken.reason
    assert tick.due() == []


@pytest.mark.usefixtures("redis")
def test_a_tick_under_which_the_database_crashed_is_made_when_it_is_back(
    settings, own_postgres: OwnPostgres, monkeypatch
):
    # The restart is a part of its check; nor is that slow where the machine is.
    monkeypatch.setattr(deeds, "MAX_CHECK_SECONDS", 60.0)
    settings.JOB_SCHEDULES = {"daily": {"job": "LoseDatabase", "every": timedelta(days=1)}}
    sync.sync()
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=2))
    LoseDatabase.crash.append(lambda: own_postgres.restart(immediate=True))
    scheduler = django_rq.get_scheduler("default")

    scheduler.run(burst=True)
    assert tick.due() == ["daily"], "a crash used the moment up"
    scheduler.run(burst=True)

    assert [run.outcome for run in made("daily")][-1] == "dispatched"


@pytest.fixture
def nightly(settings):
    """Return a function that wants two nights of the schedules of these job classes made."""

    def want(**params_by_job):
        settings.JOB_SCHEDULES = {
            job: {"job": job, "cron": "0 2 * * *", "params": params}
            for job, params in params_by_job.items()
        }
        sync.sync()
        to_at = timezone.now() - timedelta(days=30)
        return [
            backfill.start(
                Wanted(schedule_name=job, from_at=to_at - timedelta(days=2), to_at=to_at), by="ann"
            )
            for job in params_by_job
        ]

    return want


@pytest.mark.usefixtures("redis")
def test_a_backfill_that_cannot_go_on_says_why_and_stops_no_other(nightly, caplog):
    breaks, works = nightly(BreakAtDispatch={"secret": "hunter22"}, Echo={})
    scheduler = django_rq.get_scheduler("default")

    scheduler.run(burst=True)
    scheduler.run(burst=True)  # on a busy machine a round has time for one of them

    breaks.refresh_from_db()
    works.refresh_from_db()
    assert (breaks.status, breaks.made, breaks.cursor) == ("stopped", 0, None)
    assert breaks.reason.startswith("RuntimeError")
    assert "hunter22" not in breaks.reason
    assert "Traceback" in caplog.text
    assert "hunter22" not in caplog.text
    assert (works.status, works.made) == ("running", 2)
    assert made("BreakAtDispatch") == []
    assert len(made("Echo")) == 2


@pytest.mark.usefixtures("redis")
def test_a_backfill_under_which_the_database_crashed_goes_on_when_it_is_back(
    nightly, own_postgres: OwnPostgres
):
    (wish,) = nightly(LoseDatabase={})
    LoseDatabase.crash.append(lambda: own_postgres.restart(immediate=True))
    scheduler = django_rq.get_scheduler("default")

    scheduler.run(burst=True)
    wish.refresh_from_db()
    assert (wish.status, wish.made) == ("running", 0), "a crash stopped it"
    scheduler.run(burst=True)

    wish.refresh_from_db()
    assert wish.made == 2
    assert [run.outcome for run in made("LoseDatabase")] == ["dispatched"] * 2


def test_what_nothing_would_run_is_refused(redis):
    scheduler = django_rq.get_scheduler("default")

    with pytest.raises(NotImplementedError, match="JOB_SCHEDULES"):
        scheduler.enqueue_in(timedelta(hours=1), print)
    assert redis.keys("*") == []
