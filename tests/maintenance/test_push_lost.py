from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from redis import Redis

from jobs import registry
from jobs.broker import claim, client, keys, lost
from jobs.dispatch import create, outbox
from jobs.maintenance import relay, whereabouts
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def old_job(seconds: float = 60, **fields: Any) -> JobStatus:
    """Insert a job that has been queued for so long."""
    since = timezone.now() - timedelta(seconds=seconds)
    return make_job(**{"due_at": since, "updated_at": since, **fields})


def pushed(*seconds: float, **fields: Any) -> list[JobStatus]:
    jobs = [old_job(item, **fields) for item in seconds]
    assert outbox.push(jobs)
    return jobs


def listed(redis: Redis, queue: str = "default") -> list[str]:
    return [item.decode() for item in redis.lrange(keys.queue(queue), 0, -1)]


def ids(*jobs: JobStatus) -> list[str]:
    return [str(job.id) for job in jobs]


@pytest.fixture
def checked(redis: Redis) -> Redis:
    """A Redis of which the relay knows that it wasn't flushed."""
    assert relay.push_lost() == 0
    return redis


def test_a_flushed_redis_has_every_queued_job_again_in_order(checked: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PAGE", 4)
    monkeypatch.setattr(relay, "PUSHED_AT_ONCE", 3)
    jobs = pushed(*range(90, 79, -1))
    low = pushed(50, 40, queue="low")
    checked.flushdb()

    assert relay.push_lost() == 13

    assert listed(checked) == ids(*jobs)
    assert listed(checked, "low") == ids(*low)
    assert relay.push_lost() == 0


def test_after_a_flush_what_was_pushed_since_stands_behind_what_is_older(checked: Redis):
    older = pushed(90, 80)
    checked.flushdb()
    newer = pushed(1)
    checked.rpush(keys.queue("default"), "a-plain-rq-job")

    assert relay.push_lost() == 2

    assert listed(checked) == [*ids(*older, *newer), "a-plain-rq-job"]
    assert checked.lrange(keys.wake("default"), 0, -1) == [b"1"]


def test_a_check_that_broke_off_is_begun_anew_and_loses_nothing(checked: Redis, monkeypatch):
    older = pushed(90, 80)
    checked.flushdb()
    newer = pushed(1)
    with monkeypatch.context() as patch:
        # Redis falls silent when the first rows are pushed.
        patch.setattr(outbox.breaker, "_tripped_at", time.monotonic())
        with pytest.raises(client.Unreachable):
            relay.push_lost()
    assert listed(checked) == []

    assert relay.push_lost() == 2

    assert listed(checked) == ids(*older, *newer)
    assert checked.exists(keys.aside("default")) == 0


def test_a_flush_in_the_middle_of_a_check_makes_another_one(redis: Redis, monkeypatch):
    jobs = [old_job(seconds) for seconds in (90, 80, 70)]
    monkeypatch.setattr(relay, "PAGE", 1)
    count = FlushOnce(redis, at=2)
    monkeypatch.setattr(outbox, "entry_of", count.wrap(outbox.entry_of))

    relay.push_lost()
    relay.push_lost()

    assert sorted(set(listed(redis))) == sorted(ids(*jobs))
    assert relay.push_lost() == 0


class FlushOnce:
    """Flush Redis just before the entry number `at` is made."""

    def __init__(self, redis: Redis, *, at: int) -> None:
        self.redis, self.at, self.seen = redis, at, 0

    def wrap(self, function):
        def wrapped(*arguments):
            self.seen += 1
            if self.seen == self.at:
                self.redis.flushdb()
            return function(*arguments)

        return wrapped


def test_a_job_whose_entry_is_missing_goes_to_the_head(checked: Redis):
    waiting = pushed(30, 20)
    lost = [old_job(90), old_job(80)]

    assert relay.push_lost() == 2

    assert listed(checked) == ids(*lost, *waiting)


def test_a_lost_job_of_before_the_clock_was_set_back_is_pushed_again(checked: Redis):
    waiting = pushed(20)
    lost = old_job(-3_600)

    assert relay.push_lost() == 1

    assert listed(checked) == ids(lost, *waiting)


def test_after_a_flush_those_of_before_the_clock_was_set_back_are_pushed_again(checked: Redis):
    jobs = pushed(20, -3_600, -3_601)
    checked.flushdb()

    assert relay.push_lost() == 3

    assert listed(checked) == ids(*jobs)


def test_many_lost_jobs_go_to_the_head_in_order(checked: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PUSHED_AT_ONCE", 2)
    waiting = pushed(20)
    lost = [old_job(seconds) for seconds in (90, 80, 70, 60, 50)]

    assert relay.push_lost() == 5

    assert listed(checked) == ids(*lost, *waiting)


def test_as_many_lost_jobs_as_are_compared_make_the_relay_look_at_all(checked: Redis, monkeypatch):
    monkeypatch.setattr(relay, "COMPARED", 3)
    monkeypatch.setattr(relay, "PAGE", 2)
    waiting = pushed(20)
    lost = [old_job(seconds) for seconds in (90, 80, 70, 60, 50)]

    assert relay.push_lost() == 5

    assert listed(checked) == ids(*lost, *waiting)


def test_a_job_whose_entry_bears_another_claim_is_lost(checked: Redis):
    (job,) = pushed(60)
    checked.delete(keys.queue("default"))
    checked.rpush(keys.queue("default"), "another")
    JobStatus.objects.update(claim=job.claim + 1)

    assert relay.push_lost() == 1

    assert listed(checked) == [str(job.id), "another"]
    assert checked.hget(keys.entry(job.id), "claim") == str(job.claim + 1).encode()


def test_a_queue_whose_list_is_gone_is_filled_again(checked: Redis):
    jobs = pushed(60, 50)
    other = pushed(40, queue="low")
    checked.delete(keys.queue("default"))

    assert relay.push_lost() == 2

    assert listed(checked) == ids(*jobs)
    assert listed(checked, "low") == ids(*other)


def test_a_job_that_no_list_and_no_claim_holds_is_found_among_the_oldest(checked: Redis):
    jobs = pushed(90, 80, 70, 60)
    checked.lrem(keys.queue("default"), 0, str(jobs[1].id))
    checked.lrem(keys.queue("default"), 0, str(jobs[2].id))

    assert relay.push_lost() == 2

    assert listed(checked) == ids(jobs[1], jobs[2], jobs[0], jobs[3])
    assert relay.push_lost() == 0


def test_a_claim_that_was_deleted_loses_no_job(checked: Redis):
    worker = make_worker()
    jobs = pushed(90, 80)
    claim.take(checked, ["default"], worker.id, count=1)
    assert relay.push_lost() == 0
    checked.delete(keys.claims(worker.id))

    assert relay.push_lost() == 1
    assert listed(checked) == ids(*jobs)


def test_a_lost_job_comes_to_light_behind_older_ones_that_stand_far_from_the_head(
    checked: Redis, monkeypatch
):
    monkeypatch.setattr(whereabouts, "NEAR", 2)
    late_pushes = [old_job(seconds) for seconds in (99, 98, 97)]
    gone = old_job(90)
    waiting = pushed(80, 70, 60)
    assert outbox.push([*late_pushes, gone])
    checked.lrem(keys.queue("default"), 0, str(gone.id))

    assert [relay.push_lost() for _ in range(4)].count(1) == 1

    assert listed(checked) == ids(gone, *waiting, *late_pushes)


def test_what_stands_far_from_the_head_is_not_pushed_again(checked: Redis, monkeypatch):
    monkeypatch.setattr(whereabouts, "NEAR", 2)
    waiting = pushed(80, 70, 60)
    retried = old_job(1_000, status=Status.RETRYING)
    given_late = old_job(1_000)  # dispatched at the begin of a long transaction
    assert relay.promote() == 1
    assert outbox.push([given_late])
    JobStatus.objects.update(updated_at=given_late.updated_at)

    for _ in range(5):
        assert relay.push_lost() == 0

    assert listed(checked) == ids(*waiting, retried, given_late)


def test_a_retry_that_waits_behind_a_long_queue_is_not_pushed_again(checked: Redis, monkeypatch):
    monkeypatch.setattr(relay, "COMPARED", 100)
    waiting = pushed(*range(3_000, 0, -1))
    retried = old_job(5, status=Status.RETRYING, claim=3)
    assert relay.promote() == 1
    JobStatus.objects.update(updated_at=retried.updated_at)

    for _ in range(3):
        assert relay.push_lost() == 0

    assert checked.llen(keys.queue("default")) == 3_001
    assert listed(checked)[-1] == str(retried.id)
    assert listed(checked)[0] == str(waiting[0].id)


def test_what_is_claimed_between_two_looks_is_not_pushed_again(checked: Redis, monkeypatch):
    worker = make_worker()
    jobs = pushed(90, 80)
    asked = lost.listed

    def claimed_then_asked(*arguments, **options):
        claim.take(checked, ["default"], worker.id, count=1)
        return asked(*arguments, **options)

    monkeypatch.setattr(lost, "listed", claimed_then_asked)

    assert relay.push_lost() == 0
    assert set(claim.held(checked, worker.id)) == set(ids(*jobs))


def test_what_stands_in_redis_is_not_pushed_again(checked: Redis):
    jobs = pushed(60, 50)

    assert relay.push_lost() == 0
    assert listed(checked) == ids(*jobs)


@pytest.mark.usefixtures("checked")
def test_a_job_just_dispatched_may_still_be_on_its_way():
    job = make_job()

    assert relay.push_lost() == 0

    JobStatus.objects.update(updated_at=job.updated_at - timedelta(seconds=6))
    assert relay.push_lost() == 1


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED}))
def test_only_queued_jobs_are_pushed(redis: Redis, status: Status):
    old_job(status=status)

    assert relay.push_lost() == 0
    assert relay.push_lost() == 0
    assert listed(redis) == []


def test_what_a_living_worker_has_claimed_is_not_lost(checked: Redis):
    worker = make_worker()
    pushed(60)
    claim.take(checked, ["default"], worker.id, count=1)

    assert relay.push_lost() == 0
    assert listed(checked) == []


def test_a_claim_of_one_queue_says_nothing_of_another(checked: Redis):
    worker = make_worker()
    pushed(60)
    (low,) = pushed(60, queue="low")
    claim.take(checked, ["default"], worker.id, count=1)
    checked.delete(keys.queue("low"))

    assert relay.push_lost() == 1
    assert listed(checked, "low") == ids(low)


def test_what_was_claimed_before_a_flush_is_pushed_again(checked: Redis):
    worker = make_worker()
    (job,) = pushed(60)
    claim.take(checked, ["default"], worker.id, count=1)
    checked.flushdb()

    assert relay.push_lost() == 1
    assert listed(checked) == ids(job)


def test_a_job_that_starts_between_the_reads_is_not_pushed(checked: Redis, monkeypatch):
    job = old_job()
    missing = relay.lost.missing

    def missing_then_started(*arguments):
        found = missing(*arguments)
        JobStatus.objects.filter(id=job.id).update(status="started", claim=job.claim + 1)
        return found

    other = pushed(30)
    monkeypatch.setattr(relay.lost, "missing", missing_then_started)

    assert relay.push_lost() == 0
    assert listed(checked) == ids(*other)


def test_a_job_that_starts_during_a_check_of_all_puts_no_queue_aside(redis: Redis, monkeypatch):
    first, _ = pushed(60, 50)
    missing = relay.lost.missing

    def started_then_missing(*arguments):
        JobStatus.objects.filter(id=first.id).update(status=Status.STARTED, claim=1)
        redis.hset(keys.entry(first.id), "claim", 1)
        return missing(*arguments)

    monkeypatch.setattr(relay.lost, "missing", started_then_missing)
    monkeypatch.setattr(relay.lost, "set_aside", lambda *_: pytest.fail("a runner would miss it"))

    assert relay.push_lost() == 0


def test_a_dispatch_that_redis_missed_is_pushed_later(dead_redis: Callable[[], Redis]):
    (job,) = create.dispatch([create.Request(spec=registry.get("Echo"))])
    assert job.status == Status.QUEUED
    with pytest.raises(client.Unreachable):
        relay.push_lost()

    redis = dead_redis()

    assert relay.push_lost() == 1
    assert listed(redis) == [str(job.id)]


def test_redacted_params_stay_hidden_in_what_the_relay_pushes(checked: Redis):
    job = old_job(job_class="Secretive", params={"user": "ann", "password": "hunter2-xyz"})

    assert relay.push_lost() == 1

    dump = b"".join(checked.dump(key) for key in checked.keys("*"))
    shown = registry.shown_params(job.job_class, job.params)
    assert b"hunter2-xyz" not in dump
    assert "hunter2-xyz" not in str(shown)


def test_two_relays_at_once_leave_no_job_out(checked: Redis):
    jobs = [old_job(seconds) for seconds in range(300, 0, -1)]
    checked.flushdb()
    barrier = threading.Barrier(2, timeout=20)

    def push() -> None:
        barrier.wait()
        relay.push_lost()
        connection.close()

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert set(listed(checked)) == set(ids(*jobs))


def test_a_list_longer_than_a_bite_is_set_aside_and_brought_back_whole(redis: Redis):
    members = [f"plain-{number}" for number in range(2_500)]
    redis.rpush(keys.queue("default"), *members)

    relay.push_lost()

    assert listed(redis) == members


def test_a_check_that_is_told_to_stop_ends_between_two_pages(checked: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PAGE", 2)
    jobs = [old_job(seconds) for seconds in range(90, 80, -1)]
    checked.flushdb()
    answers = iter([True, True, True, True, False])

    assert relay.push_lost(lambda: next(answers, False)) == 6

    assert relay.push_lost() == 4
    assert listed(checked) == ids(*jobs)


def test_a_check_of_queues_that_lack_nothing_asks_between_two_pages(redis: Redis, monkeypatch):
    monkeypatch.setattr(relay, "PAGE", 2)
    pushed(*range(90, 80, -1))
    asked: list[None] = []

    relay.push_lost(lambda: not asked.append(None))

    assert len(asked) >= 5
    assert lost.is_checked(redis)


def test_a_check_that_broke_off_is_not_at_its_end_because_the_lease_came_back(
    redis: Redis, monkeypatch
):
    monkeypatch.setattr(relay, "PAGE", 2)
    jobs = pushed(*range(90, 80, -1))
    redis.delete(keys.entry(jobs[-1].id))
    answers = iter([True, False])  # and True again from then on

    relay.push_lost(lambda: next(answers, True))

    assert not lost.is_checked(redis)
    assert relay.push_lost() == 1
    assert lost.is_checked(redis)
