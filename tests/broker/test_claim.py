from __future__ import annotations

import logging
import threading
from uuid import UUID

import pytest
from redis import Redis

from jobs.broker import claim, keys
from tests import wait

pytestmark = [pytest.mark.redis]

WORKER = UUID(int=1)


def listed(redis: Redis, queue: str) -> list[bytes]:
    return redis.lrange(keys.queue(queue), 0, -1)


def test_ids_are_taken_in_order_the_first_queue_first_and_recorded(redis: Redis):
    redis.rpush(keys.queue("low"), "c", "d")
    redis.rpush(keys.queue("high"), "a", "b")

    taken = claim.take(redis, ["high", "low"], WORKER, count=3)

    assert taken.more
    assert taken.entries == [("high", "a"), ("high", "b"), ("low", "c")]
    assert claim.held(redis, WORKER) == {"a": "high", "b": "high", "c": "low"}
    assert listed(redis, "low") == [b"d"]
    assert redis.lrange(keys.wake("low"), 0, -1) == [b"1"]


def test_an_idle_worker_takes_what_is_pushed_in_the_round_trip_that_waits(redis: Redis):
    def push() -> None:
        wait.until("it waits", lambda: redis.info("clients")["blocked_clients"] == 1)
        redis.rpush(keys.queue("low"), "a")
        redis.lpush(keys.wake("low"), "1")

    pusher = threading.Thread(target=push)
    pusher.start()

    taken = claim.take_when_pushed(redis, ["high", "low"], WORKER, count=64, seconds=10)

    pusher.join()
    assert (taken.entries, taken.more) == ([("low", "a")], False)
    assert claim.held(redis, WORKER) == {"a": "low"}
    assert not redis.exists(keys.wake("low"))


def test_an_idle_worker_finds_what_woke_nobody_at_the_end_of_its_wait(redis: Redis):
    redis.rpush(keys.queue("high"), "plain")

    taken = claim.take_when_pushed(redis, ["high"], WORKER, count=1, seconds=0.01)

    assert taken.entries == [("high", "plain")]


def test_what_is_taken_is_heard_of_however_the_wait_ended(redis: Redis):
    def unblock() -> None:
        wait.until("it waits", lambda: redis.info("clients")["blocked_clients"] == 1)
        redis.rpush(keys.queue("high"), "plain")
        [waiting] = [each for each in redis.client_list() if "b" in each["flags"]]
        redis.client_unblock(waiting["id"], error=True)

    unblocker = threading.Thread(target=unblock)
    unblocker.start()

    taken = claim.take_when_pushed(redis, ["high"], WORKER, count=1, seconds=10)

    unblocker.join()
    assert taken.entries == [("high", "plain")]


def test_a_server_that_has_forgotten_its_scripts_is_told_them_again(redis: Redis):
    redis.script_flush()
    redis.rpush(keys.queue("high"), "a")

    taken = claim.take_when_pushed(redis, ["high"], WORKER, count=1, seconds=0.01)

    assert taken.entries == [("high", "a")]


def test_what_is_put_back_stands_at_the_heads_in_the_order_given(redis: Redis):
    redis.rpush(keys.queue("high"), "a", "b", "c")
    redis.rpush(keys.queue("low"), "d", "e")
    claim.take(redis, ["high", "low"], WORKER, count=4)

    claim.put_back(redis, WORKER, ["b", "c", "d"])

    assert listed(redis, "high") == [b"b", b"c"]
    assert listed(redis, "low") == [b"d", b"e"]
    assert claim.held(redis, WORKER) == {"a": "high"}


def test_what_is_no_longer_held_is_not_put_back(redis: Redis):
    redis.rpush(keys.queue("high"), "a", "b")
    claim.take(redis, ["high"], WORKER, count=2)
    claim.forget(redis, WORKER, ["a"])

    claim.put_back(redis, WORKER, ["a", "b"])
    claim.put_back(redis, WORKER, ["a", "b"])

    assert listed(redis, "high") == [b"b"]


def test_an_id_claimed_from_an_unknown_queue_goes_nowhere_and_loses_its_proof(
    redis: Redis, caplog: pytest.LogCaptureFixture
):
    redis.hset(keys.claims(WORKER), mapping={"a": "../../etc", "b": "high"})
    redis.hset(keys.entry("a"), "claim", 1)

    claim.put_back(redis, WORKER, ["a", "b"])

    assert set(redis.keys()) == {
        keys.queue("high").encode(), keys.wake("high").encode(),
    }  # fmt: skip
    assert "Entry a was claimed from a queue that is not in RQ_QUEUES" in caplog.text


ODD = {
    "not UTF-8": b"\xff\xfe",
    "empty": b"",
    "huge": b"x" * 1_000_000,
    "JSON": b'{"job_id": "01a20cb1-ece2-75b2-b161-375ea598a6c4"}',
    "a line more": b"01a20cb1-ece2-75b2-b161-375ea598a6c4\n",
    "a zero byte": b"a\0b",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_can_be_no_id_is_put_aside_and_the_next_is_taken(
    redis: Redis, caplog: pytest.LogCaptureFixture, odd: bytes
):
    redis.rpush(keys.queue("high"), odd, odd, "good")

    assert claim.take(redis, ["high"], WORKER, count=1).entries == [("high", "good")]

    assert claim.held(redis, WORKER) == {"good": "high"}
    assert redis.lrange(keys.ODD, 0, -1) == [b"high " + odd[:1000]] * 2
    assert 0 < redis.ttl(keys.ODD) <= 86_400
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert (
        f"can be no id were put aside, into {keys.ODD} (2): of queue high: " in said[0].getMessage()
    )
    assert said[0].getMessage().count(f"of queue high: {odd[:60]!r}") == 2
    assert len(said[0].getMessage()) < 400


def test_a_queue_full_of_garbage_is_told_in_one_line(
    redis: Redis, caplog: pytest.LogCaptureFixture
):
    redis.rpush(keys.queue("high"), *[f"? {number}" for number in range(300)], "good")

    assert claim.take(redis, ["high"], WORKER, count=64).entries == [("high", "good")]

    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        f"Entries that can be no id were put aside, into {keys.ODD} (300): of queue high: b'? 0'; "
        "of queue high: b'? 1'; of queue high: b'? 2'; of queue high: b'? 3'; "
        "of queue high: b'? 4'; and 295 more"
    )


def test_a_queue_full_of_garbage_holds_nobody_for_ever(redis: Redis, monkeypatch):
    monkeypatch.setattr(claim, "MAX_ODD", 3)
    redis.rpush(keys.queue("high"), *[b"?"] * 4, "good")

    assert claim.take(redis, ["high"], WORKER, count=1).entries == []
    assert claim.take(redis, ["high"], WORKER, count=1).entries == [("high", "good")]


def test_what_is_put_aside_is_bounded(redis: Redis):
    redis.rpush(keys.queue("high"), *[b"?"] * 1_500)

    assert claim.take(redis, ["high"], WORKER, count=64).entries == []

    assert redis.llen(keys.ODD) == 1_000


def test_forged_claims_are_dropped(redis: Redis, caplog: pytest.LogCaptureFixture):
    redis.hset(keys.claims(WORKER), mapping={b"\xff": b"high", b"": b"\xff", b"good": b"\xff"})

    assert claim.held(redis, WORKER) == {"good": "\ufffd"}

    assert redis.hkeys(keys.claims(WORKER)) == [b"good"]
    assert "that are no ids were dropped" in caplog.text


@pytest.mark.parametrize(
    "bad", [keys.claims(WORKER), keys.queue("low"), keys.wake("low"), keys.ODD]
)
def test_a_key_of_another_type_costs_no_id(redis: Redis, bad: str):
    redis.rpush(keys.queue("high"), "a", b"?", "b")
    redis.rpush(keys.queue("low"), "c")
    redis.delete(bad)
    redis.set(bad, "planted")

    taken = []
    while found := claim.take(redis, ["high", "low"], WORKER, count=2).entries:
        taken += found
    claim.put_back(redis, WORKER, [entry for _, entry in taken])

    assert [entry for queue, entry in taken if queue == "high"] == ["a", "b"]
    assert listed(redis, "high") == [b"a", b"b"]
    assert listed(redis, "low") == ([] if bad == keys.queue("low") else [b"c"])
    assert claim.held(redis, WORKER) == {}
