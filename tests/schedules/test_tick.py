from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobStatus, Schedule, ScheduleRun
from jobs.schedules import deeds, sync, tick
from tests.schedules.breaking import BreakAtDispatch

pytestmark = pytest.mark.django_db

MINUTELY = {"job": "Echo", "cron": "* * * * *", "params": {"value": "x"}, "queue": "low"}


@pytest.fixture
def due(settings):
    """Return a function that registers an entry whose tick came `ago`."""

    def register(entry=MINUTELY, *, ago=timedelta(seconds=1)):
        settings.JOB_SCHEDULES = {"minutely": entry}
        sync.sync()
        moment = (timezone.now() - ago).replace(second=0, microsecond=0)
        Schedule.objects.update(next_at=moment)
        return moment

    return register


def test_a_due_tick_makes_one_run_and_one_job(due):
    moment = due()

    (run,) = tick.run("minutely")

    job = JobStatus.objects.get()
    assert (run.outcome, run.job, run.logical_time) == ("dispatched", job, moment)
    assert (job.schedule, job.logical_time) == ("minutely", moment)
    assert (job.job_class, job.queue, job.params) == ("Echo", "low", {"value": "x"})
    assert ScheduleRun.objects.count() == 1


def test_a_tick_that_was_made_moves_the_schedule_on(due):
    due()

    tick.run("minutely")

    assert Schedule.objects.get().next_at > timezone.now()
    assert tick.due() == []


def test_the_second_of_two_schedulers_moves_nothing(due):
    due()
    tick.run("minutely")

    assert tick.run("minutely") is None
    assert JobStatus.objects.count() == 1


def test_a_moment_that_has_a_run_makes_no_second_job(due):
    moment = due()
    tick.run("minutely")
    Schedule.objects.update(next_at=moment)

    assert tick.run("minutely") == []
    assert JobStatus.objects.count() == 1
    assert Schedule.objects.get().next_at > timezone.now()


def test_a_schedule_that_is_not_due_makes_nothing(settings):
    settings.JOB_SCHEDULES = {"yearly": {**MINUTELY, "cron": "0 0 1 1 *"}}
    sync.sync()

    assert tick.due() == []
    assert tick.run("yearly") is None
    assert tick.seconds_to_next() > 0


def test_a_disabled_schedule_makes_nothing(due):
    due()
    Schedule.objects.update(enabled=False)

    assert tick.run("minutely") is None
    assert tick.seconds_to_next() is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"params": {"valeu": "x"}}, "valeu"),
        ({"queue": "nowhere"}, "nowhere"),
    ],
)
def test_a_job_that_cannot_be_made_is_recorded_and_the_schedule_goes_on(due, change, word):
    due({**MINUTELY, **change})

    (run,) = tick.run("minutely")

    run.refresh_from_db()
    assert (run.outcome, run.job) == ("refused", None)
    assert word in run.reason
    assert JobStatus.objects.count() == 0
    assert Schedule.objects.get().next_at > timezone.now()


def test_an_unforeseen_error_is_recorded_without_redacted_values(due):
    due({**MINUTELY, "job": "Secretive", "params": {"user": "ann", "password": "hunter22"}})

    (run,) = tick.run("minutely", fault=RuntimeError("hunter22 is not what I foresaw"))

    run.refresh_from_db()
    assert "RuntimeError" in run.reason
    assert "hunter22" not in run.reason


def test_a_schedule_without_a_queue_uses_the_job_classs_own(due):
    due({key: value for key, value in MINUTELY.items() if key != "queue"})

    tick.run("minutely")

    assert JobStatus.objects.get().queue == "default"


def test_many_are_made_by_few_statements(django_assert_num_queries):
    moment = timezone.now().replace(microsecond=0)
    for number in range(150):
        Schedule.objects.create(
            name=f"s{number:03}",
            job_class="Echo",
            every=timedelta(minutes=1),
            overlap="skip" if number % 2 else "allow",
            next_at=moment,
            synced_at=moment,
        )

    # Begin, limit, claim, clock, who lives; runs, jobs, the link between them, moving on; commit.
    with django_assert_num_queries(10):
        first = tick.batch()
    second, third = tick.batch(), tick.batch()

    assert (first.count, second.count, third.count) == (100, 50, 0)
    assert JobStatus.objects.count() == ScheduleRun.objects.exclude(job=None).count() == 150
    assert {row.next_at for row in Schedule.objects.all()} == {
        Schedule.objects.earliest("next_at").next_at
    }


def test_jitter_makes_a_job_due_later_and_always_by_the_same_part(due):
    entry = MINUTELY | {"jitter": "30s"}
    moment = due(entry)
    tick.run("minutely")
    first = JobStatus.objects.get().due_at
    JobStatus.objects.all().delete()
    ScheduleRun.objects.all().delete()
    Schedule.objects.update(next_at=moment)

    tick.run("minutely")

    wanted = JobStatus.objects.get().due_at
    # What is due already when its row is made is due by then.
    by = deeds.jittered(Schedule.objects.get(), moment) - moment
    assert timedelta(0) < by < timedelta(seconds=30)
    assert max(first, moment + by) == first
    assert max(wanted, moment + by) == wanted


def test_jitter_is_spread_over_schedules_and_moments():
    day = timedelta(days=1)
    base = timezone.now()
    names = [Schedule(name=f"s{number}", jitter=timedelta(seconds=60)) for number in range(40)]

    delays = {
        (deeds.jittered(row, base + number * day) - base - number * day).total_seconds()
        for row in names
        for number in range(5)
    }

    assert len(delays) == 200
    assert min(delays) >= 0
    assert max(delays) < 60
    assert 25 < sum(delays) / len(delays) < 35


def test_settle_handles_all_that_is_due_in_the_callers_transaction(due):
    moment = due(MINUTELY | {"catch_up": "1h", "overlap": "allow"}, ago=timedelta(minutes=20))
    row = Schedule.objects.get()

    tick.settle(row)

    made = list(JobStatus.objects.order_by("logical_time").values_list("logical_time", flat=True))
    assert made[0] == moment
    assert len(made) >= 20
    assert row.next_at == Schedule.objects.get().next_at > timezone.now()


def test_settle_records_what_nobody_foresaw(due):
    due(MINUTELY | {"job": BreakAtDispatch.spec.name, "params": {"secret": "hunter22"}})

    tick.settle(Schedule.objects.get())

    run = ScheduleRun.objects.latest("logical_time")
    assert (run.outcome, run.job) == ("refused", None)
    assert "RuntimeError" in run.reason
    assert "hunter22" not in run.reason
