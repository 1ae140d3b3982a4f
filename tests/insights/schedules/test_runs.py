from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.insights.schedules import runs
from jobs.models import JobStatus, Schedule
from jobs.statuses import Status
from tests.histories import make_run, make_schedule

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_strip_holds_the_newest_runs_oldest_first():
    schedule = make_schedule()
    for i in range(35):
        make_run(schedule, NOON + i * HOUR)

    strip = runs.strips(["nightly"])["nightly"]

    assert [run.logical_time for run in strip] == [NOON + i * HOUR for i in range(5, 35)]
    assert {run.status for run in strip} == {"completed"}
    assert strip[0].length(NOON) == timedelta(seconds=3)


def test_the_strips_of_many_schedules_are_one_query(django_assert_num_queries):
    names = [f"s{i}" for i in range(20)]
    for name in names:
        make_run(make_schedule(name=name), NOON)

    with django_assert_num_queries(1):
        strips = runs.strips([*names, "unknown"])

    assert {name: len(runs) for name, runs in strips.items()} == {
        **dict.fromkeys(names, 1), "unknown": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ((Status.COMPLETED, Status.FAILED, Status.STARTED), "failed"),
        ((Status.COMPLETED, Status.CANCELLED, Status.WAITING), "cancelled"),
        ((Status.COMPLETED, Status.WAITING), "waiting"),
        ((Status.COMPLETED, Status.STARTED, Status.QUEUED), "started"),
        ((Status.COMPLETED, Status.COMPLETED), "completed"),
    ],
)
def test_a_workflow_s_run_is_as_the_worst_of_its_jobs(statuses, worst):
    run = make_run(make_schedule(), NOON, jobs=len(statuses))
    jobs = list(JobStatus.objects.order_by("id"))
    for job, status in zip(jobs, statuses, strict=True):
        finished_at = NOON if status in {"completed", "failed", "cancelled"} else None
        JobStatus.objects.filter(id=job.id).update(status=status, finished_at=finished_at)

    found = runs.strips(["nightly"])["nightly"][0]

    assert (found.id, found.status) == (run.id, worst)
    assert found.job_id == jobs[statuses.index(Status(worst))].id
    assert found.is_living == (worst in {"waiting", "started"})


def test_what_pruned_jobs_ended_as_counts_with_those_that_stand():
    schedule = make_schedule()
    make_run(schedule, NOON, kept_status="failed")
    make_run(schedule, NOON + HOUR, "dispatched", kept_status="completed")

    first, second = runs.strips(["nightly"])["nightly"]

    assert (first.status, first.job_id is not None) == ("failed", True)
    assert (second.status, second.job_id, second.has_job) == ("completed", None, True)


def test_a_run_without_a_job_is_as_its_outcome_and_says_why():
    make_run(make_schedule(), NOON, "skipped", reason="The run before still goes on.")

    run = runs.strips(["nightly"])["nightly"][0]

    assert (run.status, run.reason, run.has_job) == (
        "skipped", "The run before still goes on.", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("result", "rows", "rejected"),
    [
        ({"rows": 28_000}, 28_000, None),
        ({"rows_in": 31, "rows_out": 30, "rows_rejected": 1}, 30, 1),
        ({"rows_out": "many", "rows": 2}, 2, None),
    ],
)
def test_the_rows_that_a_job_tells_of_are_known(result, rows, rejected):
    run = make_run(make_schedule(), NOON)
    JobStatus.objects.filter(id=run.job_id).update(result=result)

    found = runs.strips(["nightly"])["nightly"][0]

    assert (found.rows, found.rows_rejected) == (rows, rejected)


def test_a_long_reason_is_whole_only_where_runs_are_read_one_by_one():
    make_run(make_schedule(), NOON, "refused", reason="x" * 50_000)

    (in_strip,) = runs.strips(["nightly"])["nightly"]
    (in_grid,) = runs.between("nightly", NOON, NOON + timedelta(days=1), limit=5)
    (alone,) = runs.newest("nightly", limit=5)

    assert [len(run.reason) for run in (in_strip, in_grid, alone)] == [1_000, 1_000, 50_000]


def test_the_rows_of_a_workflow_s_jobs_are_added_up():
    make_run(make_schedule(), NOON, jobs=3)
    JobStatus.objects.update(result={"rows_out": 10})

    assert runs.strips(["nightly"])["nightly"][0].rows == 30


@pytest.mark.parametrize("result", [{"rows": "many"}, ["rows"], "rows", {"rows": {"in": 3}}, None])
def test_a_result_that_tells_of_no_rows_is_no_fault(result):
    run = make_run(make_schedule(), NOON)
    JobStatus.objects.filter(id=run.job_id).update(result=result)

    assert runs.strips(["nightly"])["nightly"][0].rows is None


def test_runs_of_a_period_leave_out_its_end_and_older_ones_over_the_limit():
    schedule = make_schedule()
    for i in range(6):
        make_run(schedule, NOON + i * HOUR)

    whole = runs.between("nightly", NOON, NOON + 5 * HOUR, limit=100)
    cut = runs.between("nightly", NOON, NOON + 5 * HOUR, limit=2)

    assert [run.logical_time for run in whole] == [NOON + i * HOUR for i in range(5)]
    assert [run.logical_time for run in cut] == [NOON + i * HOUR for i in (2, 3, 4)]


@pytest.mark.parametrize(
    ("status", "kept", "expected"),
    [
        (Status.FAILED, "", "failed"),
        ("dispatched", "cancelled", "cancelled"),
        ("skipped", "", "skipped"),
    ],
)
def test_schedules_can_be_asked_for_by_their_last_run(status, kept, expected):
    schedule = make_schedule()
    make_run(schedule, NOON)
    make_run(schedule, NOON + HOUR, status, kept_status=kept)
    make_schedule(name="never")

    found = Schedule.objects.annotate(last=runs.last_status()).order_by("-name")

    assert [row.last for row in found] == [expected, None]
