from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import JobStatus, Schedule, ScheduleRun
from jobs.schedules import drafts, making
from jobs.schedules.drafts import Draft, Kind, Outcome, Wish

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 12, 1, 2, tzinfo=UTC)


def schedule(**fields):
    values = {
        "name": "nightly",
        "job_class": "Echo",
        "params": {"value": "of {logical_date}"},
        "crons": ["0 2 * * *"],
        "synced_at": timezone.now(),
    }
    return Schedule.objects.create(**(values | fields))


def test_a_moment_becomes_a_run_and_its_job():
    run = making.make(schedule(queue="low"), MOMENT, kind=Kind.TICK)

    job = JobStatus.objects.get()
    assert ScheduleRun.objects.get() == run
    run.refresh_from_db()
    assert (run.outcome, run.kind, run.job_id, run.reason) == ("dispatched", "tick", job.id, "")
    assert (job.schedule, job.logical_time, job.queue) == ("nightly", MOMENT, "low")
    assert job.params == {"value": "of 2026-12-01"}


def test_a_moment_that_has_a_run_makes_none():
    nightly = schedule()
    making.make(nightly, MOMENT, kind=Kind.TICK)

    assert making.make(nightly, MOMENT, kind=Kind.BACKFILL) is None
    assert JobStatus.objects.count() == 1


def test_a_persons_run_bears_their_name_and_their_params():
    run = making.make(
        schedule(), MOMENT, kind=Kind.MANUAL, made_by="ann", params={"value": "{logical_time}"}
    )

    run.refresh_from_db()
    assert (run.kind, run.made_by) == ("manual", "ann")
    assert JobStatus.objects.get().params == {"value": "2026-12-01T02:00:00+00:00"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"job_class": "Nobody"}, "Nobody"),
        ({"params": {"valeu": "x"}}, "valeu"),
        ({"queue": "nowhere"}, "nowhere"),
    ],
)
def test_a_job_that_cannot_be_made_is_a_refused_run(change, word):
    run = making.make(schedule(**change), MOMENT, kind=Kind.TICK)

    run.refresh_from_db()
    assert (run.outcome, run.job_id) == ("refused", None)
    assert word in run.reason
    assert not JobStatus.objects.exists()


def test_many_are_made_by_three_statements_and_one_bad_one_stops_no_other():
    rows = [schedule(name=f"s{number}") for number in range(5)]
    rows[2].params = {"valeu": "x"}
    wishes = [Wish(schedule=row, logical_time=MOMENT) for row in rows]
    wishes.append(
        Wish(schedule=rows[0], logical_time=MOMENT, outcome=Outcome.SKIPPED, reason="again")
    )
    wishes.append(
        Wish(
            schedule=rows[1],
            logical_time=MOMENT + timedelta(days=1),
            outcome=Outcome.SKIPPED,
            reason="paused",
        )
    )

    with CaptureQueriesContext(connection) as queries:
        runs = making.make_many([drafts.draft(wish) for wish in wishes])

    assert len(queries) == 3
    outcomes = [run and run.outcome for run in runs]
    assert outcomes == [*["dispatched"] * 2, "refused", *["dispatched"] * 2, None, "skipped"]
    for run in filter(None, runs):
        stored = ScheduleRun.objects.get(id=run.id)
        assert (stored.outcome, stored.reason) == (run.outcome, run.reason)
        assert (stored.job_id, stored.created_at) == (run.job_id, run.created_at)
    assert {job.schedule for job in JobStatus.objects.all()} == {"s0", "s1", "s3", "s4"}


def test_a_run_may_start_later():
    later = timezone.now() + timedelta(minutes=5)

    wish = Wish(schedule=schedule(), logical_time=MOMENT, run_at=later)
    making.make_many([drafts.draft(wish)])

    job = JobStatus.objects.get()
    assert (job.status, job.due_at) == ("scheduled", later)


def test_what_postgresql_cannot_hold_is_taken_out_of_a_reason():
    wish = Wish(
        schedule=schedule(), logical_time=MOMENT, outcome=Outcome.REFUSED, reason="no\x00t" * 50_000
    )

    making.make_many([Draft(wish=wish)])

    reason = ScheduleRun.objects.get().reason
    assert "\x00" not in reason
    assert len(reason.encode()) <= 64 * 1024
