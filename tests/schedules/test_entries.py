"""What the dashboard lists, with the real Redis and no process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.client import Pipeline
from redis.connection import AbstractConnection

from jobs.models import Schedule
from jobs.schedules.entries import Entries

pytestmark = [pytest.mark.redis, pytest.mark.django_db]

NEXT = datetime(2030, 1, 1, 2, tzinfo=UTC)
LISTED = "rq:scheduler:scheduled_jobs"


@pytest.fixture
def scheduler(redis):
    return django_rq.get_scheduler("default")


@pytest.fixture
def entries(scheduler):
    return Entries(scheduler)


def schedule(name="nightly", **fields):
    values = {
        "job_class": "Echo",
        "crons": ["0 2 * * *"],
        "params": {"value": "x"},
        "next_at": NEXT,
        "synced_at": timezone.now(),
    }
    return Schedule.objects.create(name=name, **(values | fields))


def listed(redis):
    return {key.decode(): score for key, score in redis.zrange(LISTED, 0, -1, withscores=True)}


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_each_enabled_schedule_is_listed_with_its_next_time(entries, redis, scheduler):
    schedule()
    schedule("off", enabled=False)
    schedule("ended", next_at=None)

    entries.show()

    assert listed(redis) == {"schedule-nightly": NEXT.timestamp()}
    (job,) = scheduler.get_jobs()
    assert (job.id, job.func_name, job.kwargs) == ("schedule-nightly", "Echo", {"value": "x"})
    assert job.meta == {"cron_string": "0 2 * * *"}


def test_several_cron_lines_are_shown_side_by_side(entries, scheduler):
    schedule(crons=["0 2 * * *", "30 14 * * mon"])

    entries.show()

    assert next(iter(scheduler.get_jobs())).meta["cron_string"] == "0 2 * * *; 30 14 * * mon"


def test_a_workflow_is_shown_by_its_jobs(entries, scheduler):
    schedule(job_class="", steps={"a": {"job": "Echo"}, "b": {"job": "Sleep", "after": ["a"]}})

    entries.show()

    assert next(iter(scheduler.get_jobs())).func_name == "Echo, Sleep"


def test_a_new_time_and_a_change_are_written_and_a_schedule_that_is_gone_goes(
    entries, redis, scheduler
):
    row, gone = schedule(), schedule("gone")
    entries.show()

    row.next_at, row.params, row.synced_at = NEXT + timedelta(1), {"value": "y"}, timezone.now()
    row.save()
    gone.delete()
    entries.show()

    assert listed(redis) == {"schedule-nightly": (NEXT + timedelta(1)).timestamp()}
    assert next(iter(scheduler.get_jobs())).kwargs == {"value": "y"}
    assert not redis.exists("rq:job:schedule-gone")


@pytest.mark.parametrize("what", ["entry", "description", "both"])
def test_one_that_was_deleted_comes_back_and_the_log_says_why(entries, redis, caplog, what):
    schedule()
    schedule("other")
    entries.show()
    if what != "description":
        redis.zrem(LISTED, "schedule-nightly")
    if what != "entry":
        redis.delete("rq:job:schedule-nightly")

    entries.show()
    entries.show()

    assert set(listed(redis)) == {"schedule-nightly", "schedule-other"}
    assert redis.exists("rq:job:schedule-nightly")
    (said,) = warnings(caplog)
    assert said.startswith("Schedule nightly: its entry was removed from Redis")
    assert "pause it in the admin" in said


def test_one_that_was_disabled_for_a_while_was_not_deleted(entries, redis, scheduler, caplog):
    row = schedule()
    other = Entries(scheduler)
    for each in (entries, other):
        each.show()
    Schedule.objects.update(enabled=False)
    entries.show()
    assert listed(redis) == {}
    other.show()
    Schedule.objects.update(enabled=True)

    other.show()
    entries.show()

    assert listed(redis) == {"schedule-nightly": row.next_at.timestamp()}
    assert redis.exists("rq:job:schedule-nightly")
    assert warnings(caplog) == []


def test_a_flush_is_no_deletion(entries, redis, caplog):
    schedule()
    entries.show()
    redis.flushdb()

    entries.show()

    assert set(listed(redis)) == {"schedule-nightly"}
    assert redis.exists("rq:job:schedule-nightly")
    assert warnings(caplog) == []


def test_entries_of_others_are_left_alone(entries, redis):
    redis.zadd(LISTED, {"somebody-elses": 1})

    entries.show()

    assert listed(redis) == {"somebody-elses": 1}


def test_one_that_cannot_be_shown_hides_no_other(entries, redis, scheduler, monkeypatch, caplog):
    schedule("bad", params={"value": "no"})
    schedule()
    create = scheduler._create_job

    def picky(func, kwargs, **options):
        if kwargs == {"value": "no"}:
            raise ValueError("no entry of that")
        return create(func, kwargs=kwargs, **options)

    monkeypatch.setattr(scheduler, "_create_job", picky)

    entries.show()
    entries.show()

    assert redis.exists("rq:job:schedule-nightly")
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said == ["Schedule bad: the dashboard can't show it"]


@pytest.mark.parametrize("steps", ["x", [1], 5, {"a": 1}])
def test_steps_that_somebody_made_unreadable_hide_no_other(entries, redis, steps):
    schedule("bad", job_class="", steps=steps)
    schedule()

    entries.show()

    assert redis.exists("rq:job:schedule-nightly")


def test_a_look_at_a_thousand_is_one_statement_and_one_round_trip(entries, redis, monkeypatch):
    for number in range(1_000):
        schedule(f"s{number}")
    entries.show()
    asked = []
    send = AbstractConnection.send_packed_command
    execute = Pipeline.execute
    monkeypatch.setattr(
        AbstractConnection,
        "send_packed_command",
        lambda self, *args, **options: asked.append(1) or send(self, *args, **options),
    )
    pipelines = []
    monkeypatch.setattr(
        Pipeline, "execute", lambda self, **options: pipelines.append(1) or execute(self, **options)
    )

    with CaptureQueriesContext(connection) as queries:
        entries.show()

    assert (len(queries), len(pipelines), len(asked)) == (1, 1, 1)
    Schedule.objects.filter(name__in=["s1", "s2"]).update(next_at=NEXT + timedelta(1))
    entries.show()
    assert len(pipelines) == 3
