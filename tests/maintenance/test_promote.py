from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from redis import Redis

from jobs.broker import keys
from jobs.maintenance import relay
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def due_ago(seconds: float, **fields: Any) -> JobStatus:
    fields.setdefault("status", Status.SCHEDULED)
    return make_job(due_at=timezone.now() - timedelta(seconds=seconds), **fields)


def listed(redis: Redis, queue: str = "default") -> list[str]:
    return [item.decode() for item in redis.lrange(keys.queue(queue), 0, -1)]


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.RETRYING])
def test_a_due_job_is_queued_and_pushed(redis: Redis, status: Status):
    job = due_ago(1, status=status, claim=3)

    assert relay.promote() == 1

    job.refresh_from_db()
    assert (job.status, job.claim) == (Status.QUEUED, 4)
    assert listed(redis) == [str(job.id)]
    assert redis.hget(keys.entry(job.id), "claim") == b"4"


def test_a_job_whose_time_is_yet_to_come_stays(redis: Redis):
    job = make_job(status=Status.SCHEDULED)

    assert relay.promote() == 0

    job.refresh_from_db()
    assert job.status == Status.SCHEDULED
    assert listed(redis) == []


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SCHEDULED, Status.RETRYING}))
def test_only_jobs_that_wait_for_their_time_are_promoted(redis: Redis, status: Status):
    job = due_ago(60, status=status)

    assert relay.promote() == 0

    job.refresh_from_db()
    assert job.status == status
    assert listed(redis) == []


def test_jobs_are_pushed_in_the_order_in_which_they_came_due(redis: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PROMOTED_AT_ONCE", 4)
    jobs = {seconds: due_ago(seconds) for seconds in (5, 9, 1, 7, 3, 8, 2, 6, 4)}
    other = due_ago(60, queue="low")

    assert relay.promote() == 10

    assert listed(redis) == [str(jobs[seconds].id) for seconds in range(9, 0, -1)]
    assert listed(redis, "low") == [str(other.id)]
    rows = JobStatus.objects.filter(queue="default").order_by("due_at", "id")
    assert [str(job.id) for job in rows] == listed(redis)


@pytest.mark.usefixtures("redis")
def test_all_that_is_due_is_promoted_in_one_pass_retries_in_between(monkeypatch):
    monkeypatch.setattr(relay, "PROMOTED_AT_ONCE", 2)
    for seconds in range(1, 7):
        due_ago(seconds, status=Status.SCHEDULED)
        due_ago(seconds, status=Status.RETRYING)
    asked: list[int] = []

    def go_on() -> bool:
        asked.append(JobStatus.objects.filter(status=Status.RETRYING).count())
        return True

    assert relay.promote(go_on) == 12

    assert asked == [6, 4, 4, 2, 2, 0, 0, 0]  # both kinds in turns


@pytest.mark.usefixtures("redis")
def test_a_pass_that_is_told_to_stop_leaves_the_rest_to_the_next(monkeypatch):
    monkeypatch.setattr(relay, "PROMOTED_AT_ONCE", 2)
    for seconds in range(1, 6):
        due_ago(seconds)
    answers = iter([True, True, False])

    assert relay.promote(lambda: next(answers)) == 2

    assert relay.promote() == 3


@pytest.mark.usefixtures("redis")
def test_a_promoted_job_is_due_by_now_and_not_later():
    due_ago(60)
    due_ago(50)

    relay.promote()

    with connection.cursor() as cursor:
        cursor.execute("SELECT bool_and(due_at <= now()) FROM job_statuses")
        assert cursor.fetchone() == (True,)


def test_a_row_that_somebody_holds_delays_no_other(redis: Redis):
    held, free = due_ago(2), due_ago(1)
    with held_row(held):
        assert relay.promote() == 1

    assert listed(redis) == [str(free.id)]
    assert relay.promote() == 1
    assert listed(redis) == [str(free.id), str(held.id)]


class held_row:  # noqa: N801 - reads as a verb in a with statement
    """Lock the row in another connection's transaction."""

    def __init__(self, job: JobStatus) -> None:
        self.job_id = job.id
        self.holds, self.may_end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with transaction.atomic():
            JobStatus.objects.select_for_update().get(id=self.job_id)
            self.holds.set()
            self.may_end.wait(20)
        connection.close()

    def __enter__(self) -> None:
        self.thread.start()
        assert self.holds.wait(20)

    def __exit__(self, *_: object) -> None:
        self.may_end.set()
        self.thread.join(20)


def test_two_relays_at_once_promote_each_job_once(redis: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PROMOTED_AT_ONCE", 7)
    for seconds in range(200):
        due_ago(seconds + 1)
    barrier = threading.Barrier(4, timeout=20)
    counts: list[int] = []

    def promote() -> None:
        barrier.wait()
        counts.append(relay.promote())
        connection.close()

    threads = [threading.Thread(target=promote) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    while relay.promote():  # what each skipped because another held it
        pass

    assert len(counts) == 4
    assert set(JobStatus.objects.values_list("status", "claim")) == {("queued", 1)}
    assert sorted(listed(redis)) == sorted(str(job.id) for job in JobStatus.objects.all())


def test_a_redis_that_is_down_delays_the_push_and_not_the_move(dead_redis: Callable[[], Redis]):
    job = due_ago(1)

    assert relay.promote() == 1

    job.refresh_from_db()
    assert job.status == Status.QUEUED
    redis = dead_redis()
    assert relay.push_lost() == 1
    assert listed(redis) == [str(job.id)]


def test_a_leader_that_leads_no_more_ends_after_the_batch_in_flight(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "PROMOTED_AT_ONCE", 2)
    for _ in range(5):
        due_ago(1)
    answers = iter([True, True, False])  # retrying has no row

    assert relay.promote(lambda: next(answers)) == 2

    assert len(listed(redis)) == 2
    assert JobStatus.objects.filter(status=Status.SCHEDULED).count() == 3
