from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import JobDependency, JobStatus, Schedule, ScheduleRun
from jobs.schedules import overlap, tick
from jobs.schedules.overlap import Overlap
from jobs.statuses import Status
from tests.make import make_job

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now():
    """A moment of every schedule here, two seconds ago: on time."""
    return timezone.now().replace(microsecond=0) - timedelta(seconds=2)


def schedule(policy, *, next_at, name="often", **fields):
    values = {
        "job_class": "Echo",
        "every": MINUTE,
        "start_at": (next_at or timezone.now()) - timedelta(days=1),
        "overlap": policy,
        "synced_at": timezone.now(),
    }
    return Schedule.objects.create(name=name, next_at=next_at, **(values | fields))


def run_before(moment, *, name="often", kind="tick", **fields):
    job = make_job(schedule=name, logical_time=moment, **{"status": Status.STARTED, **fields})
    ScheduleRun.objects.create(
        schedule_name=name,
        logical_time=moment,
        outcome="dispatched",
        kind=kind,
        job=job,
        created_at=moment,
    )
    return job


def parents(job):
    return set(JobDependency.objects.filter(job=job).values_list("parent_id", flat=True))


@pytest.mark.parametrize("policy", Overlap.values)
def test_a_moment_that_finds_nobody_living_makes_its_job_at_once(policy, now):
    schedule(policy, next_at=now)
    run_before(now - MINUTE, status=Status.COMPLETED)
    run_before(now - 2 * MINUTE, status=Status.FAILED)

    (run,) = tick.run("often")

    assert (run.outcome, run.reason, run.job.status) == ("dispatched", "", "queued")
    assert parents(run.job) == set()


@pytest.mark.parametrize("status", [s for s in Status if s not in ("completed", "failed")])
def test_skip_makes_no_job_beside_one_that_lives(status, now):
    schedule(Overlap.SKIP, next_at=now)
    run_before(now - MINUTE, status=status)

    (run,) = tick.run("often")

    if status == Status.CANCELLED:
        assert run.outcome == "dispatched"
    else:
        assert (run.outcome, run.job) == ("skipped", None)
        assert run.reason == f"overlap is skip: the run of {now - MINUTE} still lives"


def test_allow_starts_beside_it(now):
    schedule(Overlap.ALLOW, next_at=now)
    run_before(now - MINUTE)

    (run,) = tick.run("often")

    assert (run.outcome, run.reason, run.job.status) == ("dispatched", "", "queued")


@pytest.mark.parametrize("policy", [Overlap.QUEUE, Overlap.QUEUE_ALL])
def test_queue_waits_for_it_however_it_ends(policy, now):
    schedule(policy, next_at=now)
    before = run_before(now - MINUTE)

    (run,) = tick.run("often")

    assert (run.outcome, run.job.status, run.job.held_by) == ("dispatched", "waiting", "dependency")
    assert run.reason == f"waits for the run of {now - MINUTE}"
    assert JobDependency.objects.get().on_parent_failure == "run"
    assert parents(run.job) == {before.id}


def waiting(moment, parent):
    job = run_before(moment, status=Status.WAITING, held_by="dependency")
    JobDependency.objects.create(job=job, parent=parent, number=0, on_parent_failure="run")
    return job


def test_queue_lets_only_one_wait(now):
    schedule(Overlap.QUEUE, next_at=now)
    waiting(now - MINUTE, run_before(now - 2 * MINUTE))

    (run,) = tick.run("often")

    assert run.outcome == "skipped"
    assert run.reason == f"overlap is queue: the run of {now - MINUTE} waits already"


def test_queue_all_waits_for_the_newest_and_for_whatever_runs(now):
    schedule(Overlap.QUEUE_ALL, next_at=now)
    running = run_before(now - 3 * MINUTE)
    older = waiting(now - 2 * MINUTE, running)
    newest = waiting(now - MINUTE, older)

    (run,) = tick.run("often")

    assert parents(run.job) == {newest.id, running.id}


def test_a_run_that_waits_for_something_else_does_not_wait_in_line(now):
    schedule(Overlap.QUEUE, next_at=now)
    held = run_before(now - MINUTE, status=Status.WAITING, held_by="approval")

    (run,) = tick.run("often")

    assert parents(run.job) == {held.id}


def test_cancel_running_cancels_it_and_waits_for_its_end(now):
    schedule(Overlap.CANCEL_RUNNING, next_at=now)
    started = run_before(now - MINUTE)
    queued = run_before(now - 2 * MINUTE, status=Status.QUEUED)

    (run,) = tick.run("often")

    started.refresh_from_db()
    queued.refresh_from_db()
    assert started.cancel_requested_at is not None
    assert started.cancel_requested_by == queued.cancel_requested_by == "schedule often"
    assert queued.status == Status.CANCELLED
    assert f"overlap is cancel_running: {now} has come" in started.cancel_reason
    assert parents(run.job) == {started.id, queued.id}
    assert run.job.status == "waiting"
    assert "cancelled the run of" in run.reason
    assert str(now - MINUTE) in run.reason


def test_a_moment_that_is_refused_cancels_nobody(now):
    schedule(Overlap.CANCEL_RUNNING, next_at=now, params={"valeu": "x"})
    started = run_before(now - MINUTE)

    (run,) = tick.run("often")

    started.refresh_from_db()
    assert (run.outcome, started.cancel_requested_at) == ("refused", None)


def test_a_batch_leaves_those_that_cancel_to_themselves(now):
    schedule(Overlap.CANCEL_RUNNING, next_at=now)
    schedule(Overlap.CANCEL_RUNNING, next_at=now, name="free")
    run_before(now - MINUTE)

    made = tick.batch()

    assert (made.count, made.apart) == (1, ("often",))
    assert ScheduleRun.objects.filter(schedule_name="free").count() == 1
    assert tick.due() == ["often"]


@pytest.mark.parametrize("policy", Overlap.values)
def test_a_backfills_runs_are_in_nobodys_way(policy, now):
    schedule(policy, next_at=now)
    run_before(now - MINUTE, kind="backfill")

    (run,) = tick.run("often")

    assert (run.outcome, run.job.status) == ("dispatched", "queued")


def test_a_persons_run_is(now):
    schedule(Overlap.SKIP, next_at=now)
    run_before(now - timedelta(seconds=90), kind="manual")

    assert [run.outcome for run in tick.run("often")] == ["skipped"]


def test_jobs_of_other_schedules_are_in_nobodys_way(now):
    schedule(Overlap.SKIP, next_at=now)
    run_before(now - MINUTE, name="another")

    assert [run.outcome for run in tick.run("often")] == ["dispatched"]


@pytest.mark.parametrize(
    "policy", [Overlap.SKIP, Overlap.QUEUE, Overlap.QUEUE_ALL, Overlap.CANCEL_RUNNING]
)
def test_what_the_window_catches_up_with_waits_in_line_and_is_never_skipped(policy, now):
    schedule(policy, next_at=now - 4 * MINUTE, catch_up="3m 30s")
    before = run_before(now - 5 * MINUTE)

    runs = {run.logical_time: run for run in tick.run("often")}

    first, second, third = (runs[now - number * MINUTE] for number in (3, 2, 1))
    assert parents(first.job) == {before.id}
    assert parents(second.job) == {before.id, first.job.id}
    assert parents(third.job) == {before.id, second.job.id}
    assert runs[now - 4 * MINUTE].outcome == "skipped"
    assert {run.job.status for run in (first, second, third)} == {"waiting"}


def test_with_allow_they_start_side_by_side(now):
    schedule(Overlap.ALLOW, next_at=now - 2 * MINUTE, catch_up="1h")

    assert {run.job.status for run in tick.run("often")} == {"queued"}


def test_of_several_on_time_cancel_running_makes_the_newest(now):
    second = timezone.now().replace(microsecond=0)
    moments = [second - timedelta(seconds=number) for number in (3, 2, 1)]
    schedule(Overlap.CANCEL_RUNNING, next_at=moments[0], every=timedelta(seconds=1))

    runs = [run for run in tick.run("often") if run.logical_time <= second]

    assert [run.outcome for run in runs[:3]] == ["skipped"] * 3
    assert runs[-1].outcome == "dispatched"
    assert "overlap is cancel_running" in runs[0].reason


def test_of_several_on_time_skip_makes_the_first(now):
    second = timezone.now().replace(microsecond=0)
    schedule(Overlap.SKIP, next_at=second - timedelta(seconds=3), every=timedelta(seconds=1))

    outcomes = [run.outcome for run in tick.run("often")]

    assert outcomes[:4] == ["dispatched", "skipped", "skipped", "skipped"]


def test_a_moment_that_was_made_before_keeps_the_line(now):
    schedule(Overlap.QUEUE_ALL, next_at=now - 2 * MINUTE, catch_up="1h")
    before = run_before(now - 3 * MINUTE)
    made = run_before(now - MINUTE, status=Status.COMPLETED)

    runs = {run.logical_time: run for run in tick.run("often")}

    assert now - MINUTE not in runs
    assert parents(runs[now].job) == {before.id, runs[now - 2 * MINUTE].job.id}
    assert JobStatus.objects.filter(logical_time=now - MINUTE).get() == made


def test_a_moment_that_was_made_before_cancels_nobody(now):
    schedule(Overlap.CANCEL_RUNNING, next_at=now)
    living = [run_before(now), run_before(now + 30 * MINUTE)]  # the clock was set back since

    assert tick.run("often") == []

    assert not JobStatus.objects.exclude(cancel_requested_at=None).exists()
    assert set(JobStatus.objects.all()) == set(living)
    assert tick.due() == []


def test_a_moment_that_was_made_before_is_in_no_later_ones_way():
    second = timezone.now().replace(microsecond=0)
    schedule(Overlap.SKIP, next_at=second - timedelta(seconds=3), every=timedelta(seconds=1))
    run_before(second - timedelta(seconds=3), status=Status.COMPLETED)

    assert tick.batch().count == 1

    runs = ScheduleRun.objects.filter(logical_time__gt=second - timedelta(seconds=3))
    first = runs.order_by("logical_time")[0]
    assert (first.logical_time, first.outcome) == (second - timedelta(seconds=2), "dispatched")


def test_the_living_are_found_by_one_statement_and_their_index():
    rows = [schedule(Overlap.SKIP, next_at=None, name=f"s{number}") for number in range(20)]
    old = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(60):
        run_before(old + number * MINUTE, name=f"s{number % 20}", status=Status.COMPLETED)

    with CaptureQueriesContext(connection) as queries:
        overlap.lanes(rows)

    assert len(queries) == 1
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE job_statuses")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {queries[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "job_statuses_living_runs" in plan
