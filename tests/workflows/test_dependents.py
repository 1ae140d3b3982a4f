"""A job that depends on others: held, released, cancelled, revived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from redis import Redis

from jobs.base import chain
from jobs.broker import keys
from jobs.dispatch import advance, outbox
from jobs.errors import InvalidOption, UnknownParent, WorkerLost
from jobs.lifecycle import control
from jobs.lifecycle.outcomes import Cancelled, Completed, Failed, Outcome, Settlement, Snoozed
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.lifecycle.turn import turn
from jobs.maintenance import prune, rescue
from jobs.maintenance.dependents import Dependents
from jobs.models import JobDependency, JobStatus, JobWorker
from jobs.statuses import TERMINAL, Status
from tests import others
from tests.jobs import Echo
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

FAILED = Failed(error_class="E", message="no", traceback="", wait=None)


@pytest.fixture
def worker() -> JobWorker:
    return make_worker()


def run(job: JobStatus, outcome: Outcome | None = None, *, worker: JobWorker) -> None:
    [begun] = start([job.id], worker_id=worker.id).jobs
    assert settle([ended(begun, outcome)])


def ended(job: JobStatus, outcome: Outcome | None = None) -> Settlement:
    return Settlement(
        job_id=job.id, claim=job.claim, outcome=outcome or Completed(result=1, text="1")
    )


def now_of(job: JobStatus) -> str:
    job.refresh_from_db()
    return job.status


def pushed(redis: Redis) -> list[str]:
    outbox.hear()
    return [each.decode() for each in redis.lrange(keys.queue("default"), 0, -1)]


# --- Birth ---


def test_it_waits_and_is_not_pushed_until_its_parent_has_completed(
    redis: Redis, worker: JobWorker
) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])

    assert (child.status, child.held_by) == ("waiting", "dependency")
    assert (now_of(child), child.held_by, child.claim) == ("waiting", "dependency", 0)
    assert str(child.id) not in pushed(redis)
    due_before = child.due_at

    run(parent, worker=worker)

    assert (now_of(child), child.held_by, child.claim) == ("queued", "", 1)
    assert child.due_at > due_before
    assert str(child.id) in pushed(redis)


def test_its_row_is_what_the_caller_gets(redis: Redis) -> None:
    parent = Echo.dispatch()
    with transaction.atomic():
        child = Echo.dispatch(depends_on=[parent], queue="low", tags=("a",))
        row = JobStatus.objects.get(id=child.id)
        for field in JobStatus._meta.concrete_fields:
            assert getattr(child, field.attname) == getattr(row, field.attname), field.attname
        parent.refresh_from_db()
        assert not parent.has_dependents, (
            "no row of a parent is written in the caller's transaction"
        )
    parent.refresh_from_db()
    assert parent.has_dependents


def test_it_is_queued_at_once_where_all_have_completed(redis: Redis) -> None:
    parents = [make_job(status=Status.COMPLETED) for _ in range(2)]

    child = Echo.dispatch(depends_on=parents)

    assert (child.status, child.held_by) == ("queued", "")
    assert pushed(redis) == [str(child.id)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_it_is_cancelled_at_once_where_one_has_failed(redis: Redis, status: Status) -> None:
    parents = [make_job(), make_job(status=status)]

    child = Echo.dispatch(depends_on=parents)

    assert child.status == now_of(child) == "cancelled"
    said = "failed" if status is Status.FAILED else "was cancelled"
    assert child.error == f"cancelled: Echo {parents[1].id} {said}"
    assert child.finished_at is not None


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_it_runs_all_the_same_where_it_was_told_to(redis: Redis, status: Status) -> None:
    parent = make_job(status=status)

    child = Echo.dispatch(depends_on=[parent], on_parent_failure="run")

    assert child.status == now_of(child) == "queued"
    assert pushed(redis) == [str(child.id)]


def test_one_of_a_later_time_is_scheduled_when_it_is_released(
    redis: Redis, worker: JobWorker
) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent], run_at=timedelta(hours=1))
    due_at = child.due_at

    run(parent, worker=worker)

    assert (now_of(child), child.due_at, child.claim) == ("scheduled", due_at, 0)


def test_many_may_depend_on_one(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    children = Echo.dispatch_many([{}] * 3, depends_on=[parent.id])

    run(parent, worker=worker)

    assert [now_of(child) for child in children] == ["queued"] * 3
    assert pushed(redis)[-3:] == [str(child.id) for child in children], "in their order"


def test_a_rolled_back_dispatch_leaves_nothing(redis: Redis) -> None:
    parent = Echo.dispatch()
    with transaction.atomic():
        Echo.dispatch(depends_on=[parent])
        transaction.set_rollback(True)

    parent.refresh_from_db()
    assert not JobDependency.objects.exists()
    assert not parent.has_dependents


def test_the_caller_s_transaction_holds_no_row_of_a_parent(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    with transaction.atomic():
        child = Echo.dispatch(depends_on=[parent])
        with others.elsewhere() as cursor:
            cursor.execute(
                "SELECT id FROM job_statuses WHERE id = %s FOR UPDATE NOWAIT", [parent.id]
            )
            cursor.execute(
                "UPDATE job_statuses SET status = 'completed' WHERE id = %s", [parent.id]
            )
            cursor.execute("COMMIT")

    assert now_of(child) == "queued", "it ended before the dispatch was committed"


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"depends_on": [uuid4()]}, UnknownParent, "don't exist"),
        ({"depends_on": ["nonsense"]}, InvalidOption, "jobs or their ids"),
        ({"depends_on": uuid4()}, InvalidOption, "a list"),
        ({"depends_on": [uuid4() for _ in range(1_001)]}, UnknownParent, "don't exist"),
    ],
)
def test_wrong_parents_are_refused(redis: Redis, wrong: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        Echo.dispatch(**wrong)

    assert not JobStatus.objects.exists()


def test_a_wrong_policy_is_refused(redis: Redis) -> None:
    parent = make_job()
    with pytest.raises(InvalidOption, match='"cancel" or "run"'):
        Echo.dispatch(depends_on=[parent], on_parent_failure="perhaps")


def test_too_many_parents_are_refused(redis: Redis) -> None:
    parents = Echo.dispatch_many([{}] * 1_001)
    with pytest.raises(InvalidOption, match="1001 jobs, at most 1000"):
        Echo.dispatch(depends_on=parents)


# --- Release: every way in which a job ends ---


def test_it_is_released_by_the_last_of_its_parents(redis: Redis, worker: JobWorker) -> None:
    first, second = Echo.dispatch(), Echo.dispatch()
    child = Echo.dispatch(depends_on=[first, second])

    run(second, worker=worker)
    assert now_of(child) == "waiting"

    run(first, worker=worker)
    assert now_of(child) == "queued"


def test_a_turn_of_one_releases(redis: Redis, worker: JobWorker) -> None:
    parent, other = Echo.dispatch(), Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    [begun] = start([parent.id], worker_id=worker.id).jobs

    settled, told = turn([ended(begun)], [other.id], worker_id=worker.id)

    assert settled[0].has_dependents
    assert [job.id for job in told.jobs] == [other.id]
    assert now_of(child) == "queued"


def test_a_turn_of_many_releases(redis: Redis, worker: JobWorker) -> None:
    parents = [Echo.dispatch(), Echo.dispatch()]
    child = Echo.dispatch(depends_on=parents)
    begun = start([job.id for job in parents], worker_id=worker.id).jobs

    turn([ended(job, Completed(result=1)) for job in begun], [make_job().id], worker_id=worker.id)

    assert now_of(child) == "queued"


def test_a_turn_that_starts_nothing_releases(redis: Redis, worker: JobWorker) -> None:
    parents = [Echo.dispatch(), Echo.dispatch()]
    child = Echo.dispatch(depends_on=parents)
    begun = start([job.id for job in parents], worker_id=worker.id).jobs

    turn([ended(job) for job in begun], [], worker_id=worker.id)

    assert now_of(child) == "queued"


def test_an_atomic_job_releases_when_it_commits(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    [begun] = start([parent.id], worker_id=worker.id).jobs

    with transaction.atomic():
        settle([ended(begun)])
        assert now_of(child) == "waiting"

    assert now_of(child) == "queued"


def test_a_parent_that_goes_on_releases_nothing(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])

    run(parent, Snoozed(delay=timedelta(seconds=1)), worker=worker)

    assert now_of(child) == "waiting"


@pytest.mark.parametrize("outcome", [FAILED, Cancelled(reason="enough")])
def test_a_failure_cancels_the_whole_branch(
    redis: Redis, worker: JobWorker, outcome: Outcome
) -> None:
    parent, other = Echo.dispatch(), Echo.dispatch()
    child = Echo.dispatch(depends_on=[other, parent])
    grandchild = Echo.dispatch(depends_on=[child])
    all_the_same = Echo.dispatch(depends_on=[grandchild], on_parent_failure="run")

    run(parent, outcome, worker=worker)

    assert [now_of(job) for job in (child, grandchild)] == ["cancelled"] * 2
    said = "failed" if outcome is FAILED else "was cancelled"
    assert child.error == f"cancelled: Echo {parent.id} {said}"
    assert grandchild.error == f"cancelled: Echo {child.id} was cancelled"
    assert child.held_by == ""
    assert now_of(all_the_same) == "queued"


def test_a_lost_attempt_cancels(redis: Redis, worker: JobWorker) -> None:
    parent = make_job(max_attempts=1)
    child = Echo.dispatch(depends_on=[parent])
    [begun] = start([parent.id], worker_id=worker.id).jobs

    rescue.settle_lost([begun], WorkerLost("gone"))

    assert now_of(parent) == "failed"
    assert now_of(child) == "cancelled"


@pytest.mark.parametrize("status", ["scheduled", "waiting", "queued", "retrying"])
def test_a_person_s_cancel_cancels(redis: Redis, status: str) -> None:
    parent = make_job(status=Status(status))
    child = Echo.dispatch(depends_on=[parent])
    last = Echo.dispatch(depends_on=[child])

    control.cancel([parent.id], by="alice")

    assert [now_of(child), now_of(last)] == ["cancelled", "cancelled"]
    assert child.error == f"cancelled: Echo {parent.id} was cancelled"


def test_a_person_s_cancel_of_a_running_parent_cancels_when_it_ends(
    redis: Redis, worker: JobWorker
) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    [begun] = start([parent.id], worker_id=worker.id).jobs

    control.cancel([parent.id], by="alice")
    assert now_of(child) == "waiting"

    settle([ended(begun, Cancelled(reason="x"))])
    assert now_of(child) == "cancelled"


# --- The duty ---


def test_the_duty_moves_what_no_look_has_moved(redis: Redis) -> None:
    done, failed, living = (Echo.dispatch() for _ in range(3))
    free = Echo.dispatch(depends_on=[done])
    after_failure = Echo.dispatch(depends_on=[failed, living])
    held = Echo.dispatch(depends_on=[done, living])
    approval = make_job(status=Status.WAITING)
    JobStatus.objects.filter(id=done.id).update(status="completed")
    JobStatus.objects.filter(id=failed.id).update(status="failed")

    assert Dependents().release(lambda: True) == 2

    assert [now_of(job) for job in (free, after_failure, held, approval)] == [
        "queued", "cancelled", "waiting", "waiting",
    ]  # fmt: skip
    assert str(free.id) in pushed(redis)


def test_the_duty_looks_at_all_of_many_in_turn(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.maintenance.dependents.PAGE", 2)
    monkeypatch.setattr("jobs.maintenance.dependents.PAGES", 1)
    living, done = Echo.dispatch(), Echo.dispatch()
    Echo.dispatch_many([{}] * 4, depends_on=[living])
    last = Echo.dispatch(depends_on=[done])
    JobStatus.objects.filter(id=done.id).update(status="completed")
    duty = Dependents()

    assert [duty.release(lambda: True) for _ in range(3)] == [0, 0, 1]
    assert duty.release(lambda: False) == 0

    assert now_of(last) == "queued"


def test_a_parent_that_is_gone_cancels(redis: Redis) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the trigger sleeps
        cursor.execute("DELETE FROM job_statuses WHERE id = %s", [parent.id])
        cursor.execute("RESET session_replication_role")

    advance.check([child.id])

    assert now_of(child) == "cancelled"
    assert child.error == f"cancelled: job {parent.id} is gone"


def test_edges_go_with_either_job(redis: Redis) -> None:
    first, second = Echo.dispatch(), Echo.dispatch()
    child = Echo.dispatch(depends_on=[first, second])

    JobStatus.objects.filter(id=first.id)._raw_delete("default")
    assert JobDependency.objects.count() == 1

    JobStatus.objects.filter(id=child.id)._raw_delete("default")
    assert JobDependency.objects.count() == 0


# --- Revival ---


def branch(worker: JobWorker) -> tuple[JobStatus, JobStatus, JobStatus]:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    grandchild = Echo.dispatch(depends_on=[child])
    run(parent, FAILED, worker=worker)
    assert [now_of(child), now_of(grandchild)] == ["cancelled", "cancelled"]
    return parent, child, grandchild


def test_a_retried_parent_revives_its_branch(redis: Redis, worker: JobWorker) -> None:
    parent, child, grandchild = branch(worker)

    control.retry([parent.id], by="alice")

    for job in (child, grandchild):
        assert (now_of(job), job.held_by) == ("waiting", "dependency")
        assert (job.finished_at, job.error) == (None, "")
    run(parent, worker=worker)
    run(child, worker=worker)
    assert now_of(grandchild) == "queued"


def test_what_is_cancelled_while_its_branch_is_revived_is_revived_too(redis: Redis) -> None:
    first, second, third, fourth = chain(*(Echo.step() for _ in range(4))).dispatch()
    JobStatus.objects.filter(id=first.id).update(status="failed", finished_at=first.created_at)
    advance._move([second.id])
    assert now_of(second) == "cancelled"

    with transaction.atomic():
        advance._move([third.id])
        retry = others.at_once(lambda: control.retry([first.id], by="ann"))
        others.until_blocked()
    retry.result(30)

    assert [now_of(job) for job in (first, second, third, fourth)] == ["queued"] + 3 * ["waiting"]


def test_it_may_be_cancelled_and_revived_again(redis: Redis, worker: JobWorker) -> None:
    parent, child, grandchild = branch(worker)

    control.retry([parent.id], by="alice")
    run(parent, FAILED, worker=worker)
    assert [now_of(child), now_of(grandchild)] == ["cancelled", "cancelled"]

    control.retry([parent.id], by="alice")
    assert [now_of(child), now_of(grandchild)] == ["waiting", "waiting"]


def test_what_a_person_has_cancelled_stays_cancelled(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    control.cancel([child.id], by="bob")
    run(parent, FAILED, worker=worker)

    control.retry([parent.id], by="alice")

    assert now_of(child) == "cancelled"


def test_what_has_lived_since_is_not_revived(redis: Redis, worker: JobWorker) -> None:
    parent, child, grandchild = branch(worker)
    control.retry([child.id], by="alice")
    assert [now_of(child), now_of(grandchild)] == ["queued", "waiting"]
    control.cancel([child.id], by="bob")

    control.retry([parent.id], by="alice")

    assert [now_of(child), now_of(grandchild)] == ["cancelled", "cancelled"]


def test_one_with_another_failed_parent_is_cancelled_because_of_that_one(
    redis: Redis, worker: JobWorker
) -> None:
    first, second = Echo.dispatch(), Echo.dispatch()
    child = Echo.dispatch(depends_on=[first, second])
    run(first, FAILED, worker=worker)
    run(second, FAILED, worker=worker)
    assert str(first.id) in (now_of(child), child.error)[1]

    control.retry([first.id], by="alice")
    assert (now_of(child), child.error) == ("cancelled", f"cancelled: Echo {second.id} failed")

    control.retry([second.id], by="alice")
    assert now_of(child) == "waiting"


def test_a_completed_parent_that_runs_again_takes_no_child_along(
    redis: Redis, worker: JobWorker
) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    run(parent, worker=worker)
    run(child, worker=worker)

    control.retry([parent.id], by="alice")
    run(parent, worker=worker)

    assert (now_of(child), child.attempt) == ("completed", 1)


def test_a_parent_that_is_being_retried_cancels_nobody(redis: Redis) -> None:
    parent = make_job(status=Status.FAILED)
    JobStatus.objects.filter(id=parent.id).update(status="queued")
    child = Echo.dispatch(depends_on=[parent])
    JobStatus.objects.filter(id=parent.id).update(status="failed")
    with others.elsewhere() as cursor:
        cursor.execute("UPDATE job_statuses SET status = 'queued' WHERE id = %s", [parent.id])

        assert advance.check([child.id]) == []

        cursor.execute("COMMIT")
    assert advance.check([child.id]) == []
    assert now_of(child) == "waiting"


# --- Others ---


def test_what_nobody_depends_on_is_not_looked_at(redis: Redis, worker: JobWorker) -> None:
    job = Echo.dispatch()
    [begun] = start([job.id], worker_id=worker.id).jobs

    with CaptureQueriesContext(connection) as queries:
        settle([ended(begun)])

    assert len(queries) == 1


def test_a_dependent_dispatch_costs_few_statements(redis: Redis) -> None:
    parent = Echo.dispatch()

    with CaptureQueriesContext(connection) as queries:
        Echo.dispatch(depends_on=[parent])

    said = [query["sql"].split()[0] for query in queries]
    assert said == ["SELECT", "BEGIN", "WITH", "INSERT", "COMMIT", "WITH", "WITH"]


def test_a_parent_whose_dependents_live_is_not_pruned(redis: Redis) -> None:
    parent = Echo.dispatch()
    other = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent, other])
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    JobStatus.objects.filter(id=parent.id).update(status="completed", finished_at=long_ago)

    assert prune.prune(lambda _: True) == 0

    JobStatus.objects.filter(id=child.id).update(status="completed", finished_at=long_ago)
    assert prune.prune(lambda _: True) == 2
    assert not JobDependency.objects.exists()


def test_a_wide_fan_is_released_in_several_statements(
    redis: Redis, worker: JobWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.dispatch.advance.MOVED_AT_ONCE", 2)
    parent = Echo.dispatch()
    children = Echo.dispatch_many([{}] * 5, depends_on=[parent])

    run(parent, worker=worker)

    assert [now_of(child) for child in children] == ["queued"] * 5
    assert pushed(redis)[-5:] == [str(child.id) for child in children]


def test_what_takes_too_long_is_left_to_the_duty(
    redis: Redis, worker: JobWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.dispatch.advance.LONGEST_SECONDS", 0.0)
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    last = Echo.dispatch(depends_on=[child])

    run(parent, FAILED, worker=worker)
    assert [now_of(child), now_of(last)] == ["cancelled", "waiting"]

    Dependents().release(lambda: True)
    assert now_of(last) == "cancelled"


def test_many_cancelled_jobs_are_not_all_logged(
    redis: Redis, worker: JobWorker, caplog: pytest.LogCaptureFixture
) -> None:
    parent = Echo.dispatch()
    Echo.dispatch_many([{}] * 12, depends_on=[parent])

    run(parent, FAILED, worker=worker)

    said = [record.getMessage() for record in caplog.records]
    assert sum("cancelled: Echo" in line for line in said) == 10
    assert "2 more jobs: cancelled, for a job that they depend on" in said


def test_a_look_that_fails_costs_the_end_nothing(redis: Redis, worker: JobWorker) -> None:
    parent = Echo.dispatch()
    child = Echo.dispatch(depends_on=[parent])
    with others.elsewhere() as cursor:
        cursor.execute("LOCK TABLE job_dependencies IN ACCESS EXCLUSIVE MODE")
        with connection.cursor() as own:
            own.execute("SET lock_timeout = '50ms'")
        run(parent, worker=worker)
        with connection.cursor() as own:
            own.execute("RESET lock_timeout")
    assert [now_of(parent), now_of(child)] == ["completed", "waiting"]

    Dependents().release(lambda: True)
    assert now_of(child) == "queued"
