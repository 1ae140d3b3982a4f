from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from redis import Redis

from jobs.broker import keys, registries
from jobs.statuses import Status

pytestmark = [pytest.mark.redis]


def end(redis: Redis, status: Status) -> str:
    """Record the end of a job of queue `high`; return its id."""
    job_id = uuid4()
    registries.record_end(
        redis,
        worker_name="worker-1",
        ended=[
            registries.Ended(
                job_id=job_id, queue="high", claim=1, status=status, working_seconds=1.0
            )
        ],
    )
    return str(job_id)


@pytest.mark.parametrize(
    ("status", "registry"), [(Status.COMPLETED, keys.finished), (Status.FAILED, keys.failed)]
)
def test_a_registry_forgets_what_it_no_longer_shows(redis: Redis, status: Status, registry):
    old, shown = end(redis, status), end(redis, status)
    redis.zadd(registry("high"), {old: int(datetime.now(UTC).timestamp()) - 1})

    end(redis, Status.CANCELLED)

    assert redis.zrange(registry("high"), 0, -1) == [shown.encode()]


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_all_that_redis_has_of_an_ended_job_expires(redis: Redis, status: Status):
    job_id = end(redis, status)

    named = {key.decode() for key in redis.scan_iter(f"*{job_id}*")}

    assert named == {f"rq:job:{job_id}", f"rq:results:{job_id}"}
    assert all(0 < redis.ttl(key) <= registries.FAILED_SECONDS for key in named)
    registry = keys.finished("high") if status == Status.COMPLETED else keys.failed("high")
    assert 0 < redis.zscore(registry, job_id) - time.time() <= registries.FAILED_SECONDS
