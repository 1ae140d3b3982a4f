from __future__ import annotations

from datetime import timedelta

import pytest
from redis import Redis

from jobs.broker import keys
from jobs.models import JobStatus, clock
from tests import wait
from tests.jobs import Echo
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

COUNT = 2_000
# Of a busy machine; benchmarks/relay.py measures what it is.
LATE = timedelta(seconds=15)


def test_many_jobs_due_at_one_moment_are_queued_soon_after_it_in_order(
    workers: Workers, redis: Redis
):
    workers.start("high", heartbeat=0.5)  # no scheduler; and nobody takes what is queued
    due_at = clock.read() + timedelta(seconds=2)
    jobs = Echo.dispatch_many([{"value": "x"}] * COUNT, run_at=due_at)
    assert redis.llen(keys.queue("default")) == 0

    wait.until("all of them in Redis", lambda: redis.llen(keys.queue("default")) >= COUNT)

    assert clock.read() - due_at < LATE
    assert set(JobStatus.objects.values_list("status", "claim")) == {("queued", 1)}
    listed = [entry.decode() for entry in redis.lrange(keys.queue("default"), 0, -1)]
    assert listed == [str(job.id) for job in sorted(jobs, key=lambda job: job.id)]
