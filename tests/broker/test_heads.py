"""Looking at the heads of queues, and taking what was seen."""

from __future__ import annotations

from uuid import UUID

import pytest
from redis import Redis

from jobs.broker import claim, heads, keys
from jobs.broker.heads import Heads

pytestmark = [pytest.mark.redis]

WORKER = UUID(int=1)


def listed(redis: Redis, queue: str) -> list[bytes]:
    return redis.lrange(keys.queue(queue), 0, -1)


def test_the_first_queue_that_holds_something_is_seen_and_nothing_moves(redis: Redis):
    redis.rpush(keys.queue("low"), "a", "b", "c")

    seen = heads.peek(redis, ["high", "low"], count=2)

    assert seen == Heads(queue="low", ids=["a", "b"])
    assert listed(redis, "low") == [b"a", b"b", b"c"]


def test_nothing_is_seen_where_all_are_empty(redis: Redis):
    assert heads.peek(redis, ["high", "low"], count=2) is None


def test_what_was_seen_is_taken_and_recorded(redis: Redis):
    redis.rpush(keys.queue("low"), "a", "b", "c")

    taken = heads.take(redis, Heads(queue="low", ids=["a", "b"]), WORKER)

    assert taken == ["a", "b"]
    assert claim.held(redis, WORKER) == {"a": "low", "b": "low"}
    assert listed(redis, "low") == [b"c"]


def test_what_no_longer_stands_at_the_head_is_left(redis: Redis):
    redis.rpush(keys.queue("low"), "a", "b", "c")
    seen = Heads(queue="low", ids=["a", "b"])
    redis.lrem(keys.queue("low"), 1, "b")
    redis.rpush(keys.queue("low"), "b")

    assert heads.take(redis, seen, WORKER) == ["a"]
    assert listed(redis, "low") == [b"c", b"b"]


def test_nothing_is_taken_while_workers_are_suspended(redis: Redis):
    redis.rpush(keys.queue("low"), "a")
    redis.set(keys.SUSPENDED, 1)

    assert heads.take(redis, Heads(queue="low", ids=["a"]), WORKER) == []
    assert listed(redis, "low") == [b"a"]


def test_claims_of_another_type_lose_nothing(redis: Redis):
    redis.rpush(keys.queue("low"), "a")
    redis.set(keys.claims(WORKER), "not a hash")

    assert heads.take(redis, Heads(queue="low", ids=["a"]), WORKER) == ["a"]
    assert claim.held(redis, WORKER) == {"a": "low"}


def test_windows_show_every_queue_and_what_can_be_an_id(redis: Redis):
    redis.rpush(keys.queue("high"), "a", "no id", "b", "c")

    seen = heads.windows(redis, ["high", "low"], count=3)

    assert seen == [Heads(queue="high", ids=["a", "b"]), Heads(queue="low", ids=[])]


def test_what_is_picked_passes_what_stands_before_it(redis: Redis):
    redis.rpush(keys.queue("low"), "a", "b", "c", "d")

    taken = heads.pick(redis, Heads(queue="low", ids=["b", "d"]), WORKER, count=4)

    assert taken == ["b", "d"]
    assert listed(redis, "low") == [b"a", b"c"]
    assert claim.held(redis, WORKER) == {"b": "low", "d": "low"}
    assert redis.lrange(keys.wake("low"), 0, -1) == [b"1"]


def test_what_another_has_taken_is_not_picked(redis: Redis):
    redis.rpush(keys.queue("low"), "a")

    assert heads.pick(redis, Heads(queue="low", ids=["gone"]), WORKER, count=4) == []
    assert claim.held(redis, WORKER) == {}
    assert not redis.exists(keys.wake("low"))


def test_nothing_is_picked_far_from_the_head(redis: Redis):
    redis.rpush(keys.queue("low"), *map(str, range(500)))

    assert heads.pick(redis, Heads(queue="low", ids=["400"]), WORKER, count=4) == []


def test_nothing_is_picked_while_workers_are_suspended(redis: Redis):
    redis.rpush(keys.queue("low"), "a")
    redis.set(keys.SUSPENDED, 1)

    assert heads.pick(redis, Heads(queue="low", ids=["a"]), WORKER, count=4) == []


def test_a_push_is_heard_and_passed_on_to_runners_with_room(redis: Redis):
    redis.lpush(keys.wake("low"), "1")

    assert heads.await_push(redis, ["high", "low"], seconds=5)
    assert not redis.exists(keys.wake("low"))
    assert redis.lrange(keys.wake_room("low"), 0, -1) == [b"1"]


def test_where_nothing_is_pushed_nothing_is_passed_on(redis: Redis):
    redis.lpush(keys.wake_room("low"), "1")  # for others

    assert not heads.await_push(redis, ["low"], seconds=0.05)
    assert redis.exists(keys.wake_room("low"))
