from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.lifecycle import control
from jobs.maintenance import prune, runs
from jobs.maintenance.prune import Lane, Pace, Selection
from jobs.models import JobAttempt, JobStatus, JobWorker, ScheduleRun
from jobs.statuses import LIVING, TERMINAL, Status
from tests.make import make_attempt, make_job, make_worker

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def ended(days_ago: float, status: Status = Status.COMPLETED, **fields) -> JobStatus:
    at = timezone.now() - days_ago * DAY
    return make_job(status=status, created_at=at, finished_at=at, **fields)


def left() -> set:
    return set(JobStatus.objects.values_list("id", flat=True))


def no_rest(seconds: float) -> bool:
    return True


def pruned() -> int:
    return prune.prune(no_rest)


def test_an_ended_job_past_its_retention_is_deleted_with_its_attempts():
    old, young = ended(8), ended(6)
    for job in (old, young):
        make_attempt(job, claim=1)
        make_attempt(job, claim=2)

    assert pruned() == 1

    assert left() == {young.id}
    assert set(JobAttempt.objects.values_list("job_id", flat=True)) == {young.id}


@pytest.mark.parametrize(
    ("status", "days"), [(Status.COMPLETED, 7), (Status.FAILED, 30), (Status.CANCELLED, 30)]
)
def test_each_status_is_kept_as_long_as_the_docs_say(status: Status, days: int):
    ended(days + 0.01, status)
    young = ended(days - 0.01, status)

    assert pruned() == 1
    assert left() == {young.id}


def test_the_settings_say_how_long_each_status_is_kept(settings):
    settings.JOBS = settings.JOBS | {
        "RETENTION_COMPLETED": timedelta(hours=1),
        "RETENTION_FAILED": timedelta.max,
    }
    ended(0.1)
    failed = ended(4_000, Status.FAILED)

    assert pruned() == 1
    assert left() == {failed.id}


def test_a_class_s_own_retention_wins_over_the_settings():
    # The whole class, only a status of it, none of it: tests/jobs.py.
    ended(0.1, job_class="KeptForAnHour")
    ended(0.1, Status.FAILED, job_class="KeptForAnHour")
    ended(8, job_class="FailuresKept")
    kept = {
        ended(4_000, Status.FAILED, job_class="FailuresKept").id,
        ended(4_000, job_class="KeptForEver").id,
        ended(0.1).id,
    }

    assert pruned() == 3
    assert left() == kept


def test_jobs_of_a_class_that_is_gone_follow_the_settings():
    ended(8, job_class="LongGone")
    young = ended(6, job_class="LongGone")

    assert pruned() == 1
    assert left() == {young.id}


@pytest.mark.parametrize("status", sorted(LIVING))
def test_a_living_job_is_kept_however_old_it_is(status: Status):
    long_ago = timezone.now() - 4_000 * DAY
    job = make_job(status=status, created_at=long_ago, updated_at=long_ago, due_at=long_ago)

    assert pruned() == 0
    assert left() == {job.id}


def test_a_schedule_s_run_outlives_its_job():
    old, young = ended(8), ended(6)
    now = timezone.now()
    for number, job in enumerate((old, young)):
        ScheduleRun.objects.create(
            schedule_name="nightly",
            logical_time=now - number * DAY,
            job=job,
            outcome="dispatched",
            created_at=now,
        )

    pruned()

    runs = list(ScheduleRun.objects.order_by("-logical_time").values_list("job_id", "outcome"))
    assert runs == [(None, "dispatched"), (young.id, "dispatched")]


def run_of(*jobs: JobStatus, days: int = 0, **fields) -> ScheduleRun:
    at = timezone.now() - days * DAY
    JobStatus.objects.filter(id__in=[job.id for job in jobs]).update(
        schedule="nightly", logical_time=at
    )
    return ScheduleRun.objects.create(
        schedule_name="nightly",
        logical_time=at,
        job=jobs[0] if jobs else None,
        outcome="dispatched",
        created_at=at,
        **fields,
    )


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_run_keeps_how_its_job_ended(status: str):
    run = run_of(ended(31, Status(status)))
    other = run_of(ended(31, Status.FAILED), days=1)
    living = run_of(make_job(), days=2)

    pruned()

    for each in (run, other, living):
        each.refresh_from_db()
    assert (run.job_id, run.kept_status) == (None, status)
    assert (other.job_id, other.kept_status) == (None, "failed")
    assert (living.job_id is None, living.kept_status) == (False, "")


def test_of_a_workflows_jobs_it_keeps_the_worst_end():
    run = run_of(
        ended(31),
        ended(31, Status.CANCELLED),
        ended(31, Status.FAILED),
        ended(31, Status.COMPLETED),
    )
    mild = run_of(ended(31), ended(31, Status.CANCELLED), days=1)

    pruned()

    run.refresh_from_db()
    mild.refresh_from_db()
    assert (run.kept_status, mild.kept_status) == ("failed", "cancelled")


def test_of_a_workflow_that_lives_on_it_keeps_the_end_that_is_gone():
    first, second = ended(31), ended(31, Status.FAILED)
    run = run_of(first, second, ended(1))
    JobStatus.objects.filter(id=first.id).update(finished_at=timezone.now())

    pruned()

    run.refresh_from_db()
    assert (run.job_id, run.kept_status) == (first.id, "failed")


def test_runs_are_kept_for_their_own_retention_and_as_long_as_their_job(settings):
    settings.JOBS = settings.JOBS | {"RETENTION_RUNS": timedelta(days=40)}
    gone = [run_of(days=days) for days in (41, 50, 399)]
    kept = [run_of(days=39), run_of(make_job(), days=41)]

    pruned()

    left_runs = ScheduleRun.objects.in_bulk()
    assert left_runs.keys() == {run.id for run in kept}
    assert not left_runs.keys() & {run.id for run in gone}


def test_runs_are_deleted_in_batches_whatever_their_schedule():
    for number in range(7):
        ScheduleRun.objects.create(
            schedule_name=f"s{number % 3}",
            logical_time=timezone.now() - (401 + number) * DAY,
            outcome="skipped",
            created_at=timezone.now(),
        )
    rests = []

    count = runs.prune(lambda seconds: rests.append(seconds) or True, batch=3)

    assert (count, len(rests)) == (7, 2)
    assert not ScheduleRun.objects.exists()


def test_runs_that_are_kept_for_ever_are(settings):
    settings.JOBS = settings.JOBS | {"RETENTION_RUNS": timedelta.max}
    run_of(days=9_999)

    assert runs.prune(lambda _: True) == 0


def test_a_pass_reads_what_there_is_once_and_deletes_in_batches(
    django_assert_num_queries, monkeypatch
):
    # Nor is a batch made smaller where the machine is slow.
    monkeypatch.setattr(prune, "LONGEST_SECONDS", 60.0)
    for _ in range(25):
        make_attempt(ended(8))
    for _ in range(3):
        ended(31, Status.FAILED)
    rests = []

    def rest(seconds: float) -> bool:
        rests.append(JobStatus.objects.count())
        return True

    # Which classes and statuses; 10, 10, 5 completed; 3 failed; workers; runs. Four counts here.
    with django_assert_num_queries(1 + 3 + 1 + 1 + 1 + 4):
        assert prune.prune(rest, batch=10) == 28

    assert rests == [18, 8, 3, 0]
    assert not JobAttempt.objects.exists()


def test_a_no_ends_the_pass_and_the_next_one_goes_on():
    for _ in range(10):
        ended(8)

    assert prune.prune(lambda _: False, batch=4) == 4
    assert JobStatus.objects.count() == 6

    assert pruned() == 6


def test_many_that_ended_in_one_moment_are_deleted_batch_by_batch():
    at = timezone.now() - 8 * DAY
    for _ in range(7):
        make_job(status=Status.COMPLETED, finished_at=at)

    assert prune.prune(no_rest, batch=2) == 7
    assert left() == set()


@pytest.fixture
def other_connection() -> Iterator:
    other = connection.copy("other")
    yield other
    other.close()


def test_a_job_that_somebody_holds_is_left_to_the_next_pass(other_connection):
    held, _ = ended(8), ended(8)
    with other_connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [held.id])

        assert pruned() == 1
        assert left() == {held.id}

        cursor.execute("ROLLBACK")
    assert pruned() == 1


def test_a_retry_that_is_not_yet_committed_wins():
    job, other = ended(8), ended(8)
    make_attempt(job)
    retried, may_commit = threading.Event(), threading.Event()

    def retry() -> None:
        with transaction.atomic():
            assert control.retry([job.id], by="ann").moved == [job.id]
            retried.set()
            assert may_commit.wait(20)
        connection.close()

    person = threading.Thread(target=retry)
    person.start()
    assert retried.wait(20)
    assert pruned() == 1
    may_commit.set()
    person.join(20)

    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert left() == {job.id}
    assert job.attempts.count() == 1
    assert not JobStatus.objects.filter(id=other.id).exists()


def test_a_retry_that_commits_while_the_statement_runs_wins(other_connection):
    # The statement has found the row by its snapshot; a gate row before it makes it wait there.
    # Then the row is retried and committed, and only the look under the lock can see it.
    job = ended(8)
    gate = ended(9)
    done = threading.Event()
    deleted = []

    def statement() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '20s'")
            # The same statement, waiting for the gate where it would skip it.
            text = prune._deletion().replace("FOR UPDATE SKIP LOCKED", "FOR UPDATE")
            lane = Lane(job_class="Echo", status=Status.COMPLETED, kept=7 * DAY)
            cursor.execute(text, [*prune._old(lane), "-infinity", 10])
            deleted.append(cursor.fetchone()[0])
        connection.close()
        done.set()

    with other_connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [gate.id])
        thread = threading.Thread(target=statement)
        thread.start()
        wait_for_a_lock_waiter()
        assert control.retry([job.id], by="ann").moved == [job.id]
        cursor.execute("ROLLBACK")
    assert done.wait(20)
    thread.join(20)

    assert deleted == [1]
    assert left() == {job.id}


def test_two_prunes_at_once_delete_each_job_once():
    for _ in range(60):
        make_attempt(ended(8))
    barrier = threading.Barrier(3, timeout=20)
    counts = []

    def work() -> None:
        barrier.wait()
        counts.append(prune.prune(no_rest, batch=3))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    counts.append(pruned())  # what each skipped because another held it

    assert sum(counts) == 60
    assert left() == set()
    assert not JobAttempt.objects.exists()


def test_workers_that_ended_long_ago_are_deleted_and_what_names_them_stays():
    long_ago = timezone.now() - 8 * DAY
    stopped = make_worker(name="stopped", stopped_at=long_ago)
    dead = make_worker(name="dead", dead_at=long_ago)
    kept = {
        make_worker(name="alive", started_at=long_ago).id,
        make_worker(name="just stopped", stopped_at=timezone.now()).id,
        make_worker(name="dead, and stopped since", dead_at=long_ago, stopped_at=timezone.now()).id,
    }
    owner = make_worker(name="dead, its job not yet settled", dead_at=long_ago)
    make_job(status=Status.STARTED, worker=owner)
    job = ended(6, worker=stopped)
    make_attempt(job, worker=dead, worker_name="dead")

    pruned()

    assert set(JobWorker.objects.values_list("id", flat=True)) == kept | {owner.id}
    assert job.attempts.get().worker_name == "dead"
    assert JobStatus.objects.select_related("worker").get(id=job.id).worker is None


class TestSelection:
    def test_it_may_name_statuses_a_class_and_an_age(self):
        ended(3, Status.FAILED, job_class="FailuresKept")
        ended(3, Status.FAILED)
        ended(3, job_class="FailuresKept")

        asked = Selection(
            statuses=(Status.FAILED,), job="FailuresKept", older_than=timedelta(days=2)
        )

        assert prune.lanes(asked) == [
            Lane(job_class="FailuresKept", status=Status.FAILED, kept=timedelta(days=2))
        ]
        assert prune.count(prune.lanes(asked)[0]) == 1

    def test_an_age_of_nothing_is_an_age(self):
        ended(0)

        (lane,) = prune.lanes(Selection(older_than=timedelta(0)))

        assert prune.count(lane) == 1

    def test_what_is_kept_for_ever_is_no_lane(self):
        ended(1, job_class="KeptForEver")

        assert prune.lanes(Selection()) == []

    def test_each_class_and_each_way_to_end_is_a_lane(self):
        for job_class in ("Echo", "Sleep", "LongGone"):
            for status in Status:
                make_job(job_class=job_class, status=status)

        found = {(lane.job_class, lane.status) for lane in prune.lanes(Selection())}

        assert found == {
            (job_class, status)
            for job_class in ("Echo", "Sleep", "LongGone")
            for status in TERMINAL
        }


class TestPace:
    def test_light_rows_make_the_batches_larger_up_to_a_limit(self):
        pace = Pace()
        sizes = []
        for _ in range(8):
            sizes.append(pace.size)
            pace.learn(0.01)

        assert sizes == [16, 32, 64, 128, 256, 512, 1_000, 1_000]

    def test_heavy_rows_make_them_smaller_down_to_one(self):
        pace = Pace(size=4)
        sizes = []
        for _ in range(4):
            pace.learn(5.0)
            sizes.append(pace.size)

        assert sizes == [2, 1, 1, 1]

    def test_the_rest_grows_with_the_work_up_to_a_limit(self):
        pace = Pace()

        pace.learn(0.05)
        assert pace.rest_seconds == 0.05 * prune.REST_SHARE

        pace.learn(60)
        assert pace.rest_seconds == prune.LONGEST_REST_SECONDS


def wait_for_a_lock_waiter() -> None:
    for _ in range(2_000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone():
                return
        threading.Event().wait(0.01)
    raise AssertionError("Nobody waits for a lock.")


def pages_read(cursor, statement: str, params: list) -> int:
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", params)
    plan = cursor.fetchone()[0][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_what_is_kept_is_not_read():
    now = timezone.now()
    JobStatus.objects.bulk_create(
        JobStatus(
            job_class=job_class, queue="default", status=Status.COMPLETED, max_attempts=1,
            created_at=now, updated_at=now, due_at=now, finished_at=now - timedelta(hours=3),
        )
        for job_class in ("Echo", "Sleep", "LongGone")
        for _ in range(4_000)
    )  # fmt: skip
    ended(0.1, job_class="KeptForAnHour")
    lane = Lane(job_class="Sleep", status=Status.COMPLETED, kept=7 * DAY)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE job_statuses")
        cursor.execute("SELECT relpages FROM pg_class WHERE relname = 'job_statuses'")
        assert cursor.fetchone()[0] > 200

        lanes = pages_read(cursor, prune._classes_and_statuses(), [])
        batch = pages_read(cursor, prune._deletion(), [*prune._old(lane), "-infinity", 1_000])

    # Three or four pages for each class; the deletion looks into two tables more.
    assert lanes < 40
    assert batch < 10
