"""Jobs as Redis shows them: the row, and what dispatch and a worker would have written."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs import registry
from jobs.broker import client, keys, push, registries
from jobs.dispatch import outbox
from jobs.models import JobStatus
from jobs.statuses import TERMINAL, Status
from tests.make import make_attempt, make_job, make_worker

WORKER = "worker-1"


def make_shown_job(status, **fields):
    """Insert a job in `status`, and write to Redis what it leaves there."""
    job = make_job(status=status, **fields)
    if status == Status.QUEUED:
        outbox.push([job])
    elif job.attempt:
        make_attempt(job)
        show_start(job)
        if status != Status.STARTED:
            show_end(job)
    return job


def show_worker(name=WORKER, queues=("high", "default", "etl", "low")):
    """Write a worker to Redis as a supervisor does."""
    redis = client.for_work()
    now = push.rq_time(datetime.now(UTC))
    redis.sadd(keys.WORKERS, keys.worker(name))
    for queue in queues:
        redis.sadd(f"{keys.WORKERS}:{queue}", keys.worker(name))
    redis.hset(
        keys.worker(name),
        mapping={
            "birth": now,
            "last_heartbeat": now,
            "queues": ",".join(queues),
            "pid": 1,
            "hostname": "localhost",
            "state": "idle",
            "successful_job_count": 0,
            "failed_job_count": 0,
            "total_working_time": 0,
        },
    )
    return make_worker(name=name)


def show_start(job: JobStatus, worker_name=WORKER):
    started = registries.Started(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        data=push.description(job.job_class, registry.shown_params(job.job_class, job.params)),
        created_at=job.created_at,
        timeout_seconds=60,
    )
    registries.record_start(
        client.for_work(), worker_name=worker_name, worker_id=job.id, started=[started]
    )


def show_end(job: JobStatus, worker_name=WORKER):
    ended = registries.Ended(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        status=Status(job.status),
        working_seconds=0.1,
        result=job.result if job.status in TERMINAL else None,
        error="Traceback ...\nValueError: no" if job.status == Status.FAILED else "",
    )
    registries.record_end(client.for_work(), worker_name=worker_name, ended=[ended])
