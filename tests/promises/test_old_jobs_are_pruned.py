from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.lifecycle import control
from jobs.models import JobAttempt, JobStatus, ScheduleRun
from jobs.statuses import Status
from tests import others, wait
from tests.jobs import AlwaysFail, Echo, KeptForEver
from tests.make import make_attempt, make_job
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

QUICK = {"prune_interval": 0.2}


def old(job_class: str = "Echo", **fields) -> JobStatus:
    at = timezone.now() - timedelta(days=8)
    return make_job(status=Status.COMPLETED, job_class=job_class, finished_at=at, **fields)


def is_gone(*jobs: JobStatus) -> bool:
    return not JobStatus.objects.filter(id__in=[job.id for job in jobs]).exists()


def test_what_has_run_is_deleted_after_its_retention_and_nothing_else(workers: Workers):
    short = [Echo.dispatch(value=str(number)) for number in range(5)]
    failed, kept = AlwaysFail.dispatch(), KeptForEver.dispatch()
    later = Echo.dispatch(value="later", run_at=timedelta(hours=1))

    workers.start("default", retention_completed=2.0, **QUICK)

    wait.until_status(kept, "completed")
    wait.until("the completed jobs deleted", lambda: is_gone(*short))
    JobStatus.objects.filter(id=kept.id).update(finished_at=timezone.now() - timedelta(days=999))
    for _ in range(2):
        # The last of all classes by name: once it is gone the second time, a pass has seen all.
        last = old("ZLongGone")
        wait.until("the last class pruned", partial(is_gone, last))
    assert not is_gone(kept), "its class keeps it for ever"
    statuses = dict(JobStatus.objects.values_list("id", "status"))
    assert statuses == {failed.id: "failed", kept.id: "completed", later.id: "scheduled"}
    assert set(JobAttempt.objects.values_list("job_id", flat=True)) == {failed.id, kept.id}


def test_a_schedule_s_run_stays_when_its_job_is_deleted(workers: Workers):
    job, now = old(), timezone.now()
    ScheduleRun.objects.create(
        schedule_name="nightly", logical_time=now, job=job, outcome="dispatched", created_at=now
    )

    workers.start("default", **QUICK)

    wait.until("the job deleted", lambda: is_gone(job))
    runs = ScheduleRun.objects.values_list("schedule_name", "logical_time", "outcome", "job")
    assert list(runs) == [("nightly", now, "dispatched", None)], "the run went with its job"


def test_a_retry_in_the_moment_of_the_deletion_wins(workers: Workers):
    job, other = old(), old()
    make_attempt(job)
    with transaction.atomic():
        assert control.retry([job.id], by="ann").moved == [job.id]
        workers.start("default", **QUICK)
        # It passes the row over; were it to wait for it, it would find it when this commits.
        wait.until("the prune at the row", lambda: is_gone(other) or others.blocked())

    job = JobStatus.objects.get(id=job.id)
    wait.until_status(job, "completed")
    assert job.attempts.count() == 2


@pytest.fixture
def deletions(transactional_db: None) -> Iterator[None]:
    """A table that PostgreSQL itself fills with the size of each statement's deletion of jobs."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE TABLE deletions (size int);
            CREATE FUNCTION note_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO deletions SELECT count(*) FROM gone HAVING count(*) > 0;
                    RETURN NULL;
                END $$;
            CREATE TRIGGER note_deletion AFTER DELETE ON job_statuses
                REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_deletion()
        """)
    yield
    with connection.cursor() as cursor:
        cursor.execute("""
            DROP TRIGGER note_deletion ON job_statuses;
            DROP FUNCTION note_deletion;
            DROP TABLE deletions
        """)


@pytest.mark.usefixtures("deletions")
def test_no_statement_deletes_more_than_a_thousand_jobs(workers: Workers):
    now = timezone.now()
    JobStatus.objects.bulk_create(
        JobStatus(
            job_class="Echo", queue="default", status=Status.COMPLETED, max_attempts=1,
            created_at=now, updated_at=now, due_at=now, finished_at=now - timedelta(days=8),
        )
        for _ in range(2_500)
    )  # fmt: skip

    workers.start("default", **QUICK)

    wait.until("all deleted", lambda: not JobStatus.objects.exists())
    with connection.cursor() as cursor:
        cursor.execute("SELECT size FROM deletions")
        sizes = [size for (size,) in cursor.fetchall()]
    assert sum(sizes) == 2_500
    assert max(sizes) <= 1_000
