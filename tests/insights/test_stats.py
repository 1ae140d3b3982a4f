from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.insights import presence, stats
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db


def many(count, status):
    now = timezone.now()
    JobStatus.objects.bulk_create(
        JobStatus(
            job_class="Echo",
            queue="default",
            status=status,
            max_attempts=1,
            created_at=now,
            updated_at=now,
            due_at=now,
        )
        for _ in range(count)
    )


def test_each_status_is_counted(django_assert_num_queries):
    for status in Status:
        make_job(status=status)
    make_job(status=Status.FAILED)

    with django_assert_num_queries(1):
        counts = stats.counts_by_status()

    assert {status: str(count) for status, count in counts.items()} == {
        **dict.fromkeys(Status, "1"),
        Status.FAILED: "2",
    }


@pytest.mark.parametrize("status", [Status.QUEUED, Status.COMPLETED])
@pytest.mark.parametrize(("count", "shown"), [(1_000, "1000"), (1_001, "1000+"), (1_500, "1000+")])
def test_nobody_counts_further_than_a_thousand(status, count, shown):
    many(count, status)

    assert str(stats.counts_by_status()[status]) == shown


def test_a_status_is_counted_however_many_newer_jobs_there_are():
    make_job(status=Status.FAILED, created_at=timezone.now() - timedelta(days=1))
    many(1_500, Status.COMPLETED)

    counts = stats.counts_by_status()

    assert str(counts[Status.FAILED]) == "1"
    assert str(counts[Status.QUEUED]) == "0"


def test_a_queues_load_is_what_waits_and_runs_and_for_how_long():
    make_job(due_at=timezone.now() - timedelta(seconds=90))
    make_job()
    make_job(status=Status.STARTED)
    make_job(queue="low", status=Status.SCHEDULED)

    loads = {load.queue: load for load in stats.queue_loads(("default", "low"))}

    assert (str(loads["default"].queued), str(loads["default"].started)) == ("2", "1")
    assert timedelta(seconds=89) < loads["default"].oldest_wait < timedelta(seconds=120)
    assert (str(loads["low"].queued), loads["low"].oldest_wait) == ("0", None)


def test_the_jobs_before_one_are_those_of_its_queue_that_are_due_earlier():
    now = timezone.now()
    make_job(due_at=now - timedelta(seconds=1))
    first, second = make_job(due_at=now), make_job(due_at=now)
    make_job(due_at=now - timedelta(seconds=1), queue="low")
    make_job(due_at=now - timedelta(seconds=1), status=Status.STARTED)

    earlier, later = sorted((first, second), key=lambda job: job.id)

    assert stats.count_before(earlier).value == 1
    assert stats.count_before(later).value == 2


def test_the_latest_failures_are_the_newest_ones():
    now = timezone.now()
    jobs = [
        make_job(status=Status.FAILED, finished_at=now - timedelta(minutes=n)) for n in range(3)
    ]
    make_job(status=Status.COMPLETED)

    assert [job.id for job in stats.latest_failures(2)] == [jobs[0].id, jobs[1].id]


def test_living_workers_are_those_whose_heartbeat_is_fresh():
    living = make_worker()
    make_worker(name="silent", heartbeat_at=timezone.now() - timedelta(minutes=5))
    make_worker(name="stopped", stopped_at=timezone.now())
    make_worker(name="dead", dead_at=timezone.now())

    assert presence.living_workers() == [living]
