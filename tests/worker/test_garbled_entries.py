"""Whatever somebody wrote into a job hash, no process of ours dies of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from jobs.broker import keys
from jobs.runner import plain

pytestmark = [pytest.mark.redis]

# What rq reads of a hash, and what it may stumble over.
FIELDS = [
    "data", "status", "origin", "created_at", "enqueued_at", "started_at", "timeout", "result_ttl",
    "meta", "dependency_ids", "worker_name", "group_id", "success_callback_name",
    "success_callback_timeout", "retries_left", "retry_intervals", "number_of_retries",
    "repeats_left", "repeat_intervals", "result", "description", "rate_limit_concurrency",
]  # fmt: skip
VALUES = [
    b"", b"\xff\xfe", b"\x00", b"x", b"null", b"NaN", b"inf", b"1e400", b"-1", b"1", b"9" * 5_000,
    b"[]", b"{}", b"[" * 5_000, b'["x"]', b'"x"', b"[1,2,3,4]", b'["os.getpid",null,[],{}]',
    b"started", b"queued", b"2026-01-01T00:00:00Z", b"2026-13-45",
]  # fmt: skip
CALL = {"data": b'["os.getpid",null,[],{}]', "status": b"started"}
hashes = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES) | st.binary(max_size=9))


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # each example empties what it uses
)
@given(garbled=hashes, is_call=st.booleans())
def test_no_garbled_hash_raises(redis: Redis, garbled: dict[str, bytes], *, is_call: bool):
    fields = {**garbled, **(CALL if is_call else {})} or CALL
    redis.flushdb()
    redis.hset(keys.entry("garbled"), mapping=fields)

    job = plain.find(redis, entry_id="garbled", queue_name="default")
    if job is not None:
        assert plain.timeout_seconds(job) is not None
    redis.hset(keys.entry("garbled"), mapping=fields)
    plain.record_loss(redis, entry_id="garbled", worker_name="worker-1", why="it died")


def test_an_honest_hash_is_found_and_its_loss_recorded(redis: Redis):
    redis.hset(keys.entry("honest"), mapping={**CALL, "origin": "default"})

    job = plain.find(redis, entry_id="honest", queue_name="default")
    plain.record_loss(redis, entry_id="honest", worker_name="worker-1", why="it died")

    assert job is not None
    assert job.func_name == "os.getpid"
    assert redis.hget(keys.entry("honest"), "status") == b"failed"
