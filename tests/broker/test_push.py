"""Entries in their queues' lists: order, both ends, many."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from redis import Redis

from jobs.broker import keys, push
from jobs.broker.push import Entry

pytestmark = [pytest.mark.redis]

MOMENT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def entries(numbers: range, queue: str = "high") -> list[Entry]:
    return [
        Entry(
            job_id=str(UUID(int=number)),
            queue=queue,
            claim=number // 3,  # some have theirs in common
            data=push.description("Echo", {"value": number}),
            created_at=MOMENT,
        )
        for number in numbers
    ]


def ids(numbers: range) -> list[bytes]:
    return [str(UUID(int=number)).encode() for number in numbers]


def test_an_entry_is_a_place_in_the_list_a_hash_and_a_token(redis: Redis) -> None:
    push.push(redis, entries(range(7, 8)))

    assert redis.lrange(keys.queue("high"), 0, -1) == ids(range(7, 8))
    assert redis.hgetall(keys.entry(UUID(int=7))) == {
        b"data": b'["Echo",null,[],{"value": 7}]',
        b"status": b"queued",
        b"origin": b"high",
        b"created_at": b"2026-11-24T12:30:00.000000Z",
        b"enqueued_at": b"2026-11-24T12:30:00.000000Z",
        b"claim": b"2",
    }
    assert redis.lrange(keys.wake("high"), 0, -1) == [b"1"]
    assert redis.smembers(keys.QUEUES) == {b"rq:queue:high"}


@pytest.mark.parametrize(("end", "order"), [("tail", "old new"), ("head", "new old")])
def test_thousands_keep_their_order_at_either_end(redis: Redis, end: str, order: str) -> None:
    numbers = {"old": range(2), "new": range(2, 2_502)}
    push.push(redis, entries(numbers["old"]))

    push.push(redis, entries(numbers["new"]), at_head=end == "head")

    expected = [one for word in order.split() for one in ids(numbers[word])]
    assert redis.lrange(keys.queue("high"), 0, -1) == expected
    for number in (0, 1, 2, 3, 4, 1_000, 2_501):
        entry = redis.hgetall(keys.entry(UUID(int=number)))
        assert (entry[b"claim"], number) == (str(number // 3).encode(), number)
        assert entry[b"data"] == push.description("Echo", {"value": number})


def test_each_queue_gets_its_own_in_order(redis: Redis) -> None:
    mixed = [
        one
        for pair in zip(entries(range(10)), entries(range(10, 20), "low"), strict=True)
        for one in pair
    ]

    push.push(redis, mixed)

    assert redis.lrange(keys.queue("high"), 0, -1) == ids(range(10))
    assert redis.lrange(keys.queue("low"), 0, -1) == ids(range(10, 20))
    assert redis.hget(keys.entry(UUID(int=15)), "origin") == b"low"


def test_nothing_is_pushed_for_nobody(redis: Redis) -> None:
    push.push(redis, [])

    assert redis.keys() == []
