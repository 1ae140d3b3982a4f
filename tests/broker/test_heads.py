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
