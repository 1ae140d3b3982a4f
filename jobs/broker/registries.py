"""rq's own registries, kept true for the django-rq dashboard. No decision is read here."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError
from rq.version import VERSION

from jobs.broker import keys
from jobs.broker.push import Key, Value, rq_time
from jobs.statuses import Status

FINISHED_SECONDS = 3_600
FAILED_SECONDS = 86_400
MAX_SHOWN_RESULT_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An attempt that has just begun."""

    job_id: UUID
    queue: str
    claim: int
    data: bytes  # push.description
    created_at: datetime
    timeout_seconds: float
    started_at: datetime | None = None  # None: now


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that has just been settled, and what its job became."""

    job_id: UUID
    queue: str
    claim: int
    status: Status
    working_seconds: float
    result: Any = None
    error: str = ""  # traceback, or the one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An attempt that ended some time ago, with all that the dashboard shows of it."""

    ended: Ended
    data: bytes  # push.description
    worker_name: str
    created_at: datetime
    started_at: datetime
    ended_at: datetime


def record_start(
    client: Redis, *, worker_name: str, worker_id: UUID, started: Sequence[Started]
) -> None:
    """Show these attempts as started, and drop them from the worker's claims: one round trip."""
    now = datetime.now(UTC)
    with client.pipeline(transaction=True) as pipe:
        for item in started:
            execution = f"{item.job_id}:{item.claim}"
            started_at = item.started_at or now
            pipe.hset(
                keys.entry(item.job_id),
                mapping={
                    "data": item.data,
                    "status": "started",
                    "origin": item.queue,
                    "created_at": rq_time(item.created_at),
                    "enqueued_at": rq_time(item.created_at),
                    "started_at": rq_time(started_at),
                    "last_heartbeat": rq_time(now),
                    "worker_name": worker_name,
                    "timeout": int(item.timeout_seconds),
                    "claim": item.claim,
                },
            )
            pipe.persist(keys.entry(item.job_id))
            pipe.hset(
                keys.execution(item.job_id, item.claim),
                mapping={
                    "id": item.claim,
                    "job_id": str(item.job_id),
                    "created_at": started_at.timestamp(),
                    "last_heartbeat": now.timestamp(),
                    "worker_name": worker_name,
                },
            )
            # No expiry: opening a dashboard page fails every started job whose entry has expired.
            pipe.zadd(keys.started(item.queue), {execution: "+inf"})
            pipe.sadd(keys.worker_executions(worker_name), execution)
            pipe.hdel(keys.claims(worker_id), str(item.job_id))
        pipe.hset(keys.worker(worker_name), "state", "busy")
        try:
            pipe.execute()
        except OutOfMemoryError:
            client.hdel(keys.claims(worker_id), *(str(item.job_id) for item in started))
            raise


def record_end(client: Redis, *, worker_name: str, ended: Sequence[Ended]) -> None:
    """Show these attempts as ended: one round trip."""
    now = datetime.now(UTC)
    with client.pipeline(transaction=True) as pipe:
        for item in ended:
            execution = f"{item.job_id}:{item.claim}"
            pipe.zrem(keys.started(item.queue), execution)
            pipe.delete(keys.execution(item.job_id, item.claim))
            pipe.srem(keys.worker_executions(worker_name), execution)
            match item.status:
                case Status.COMPLETED:
                    _end(pipe, item, worker_name, now)
                    pipe.hincrby(keys.worker(worker_name), "successful_job_count", 1)
                case Status.FAILED:
                    _end(pipe, item, worker_name, now)
                    pipe.hincrby(keys.worker(worker_name), "failed_job_count", 1)
                case Status.QUEUED:
                    pass  # given back: the push that follows writes the entry anew
                case _:
                    # rq has no word for a job that waits for its retry; the admin shows it.
                    pipe.delete(keys.entry(item.job_id))
            pipe.hincrbyfloat(keys.worker(worker_name), "total_working_time", item.working_seconds)
        _forget_expired(pipe, {item.queue for item in ended})
        try:
            pipe.execute()
        except OutOfMemoryError:
            _make_room(client, worker_name, ended)
            raise


def _make_room(client: Redis, worker_name: str, ended: Sequence[Ended]) -> None:
    # A Redis that is full still deletes; it would stay full if what has ended stayed in it.
    with client.pipeline(transaction=True) as pipe:
        for item in ended:
            execution = f"{item.job_id}:{item.claim}"
            pipe.zrem(keys.started(item.queue), execution)
            pipe.srem(keys.worker_executions(worker_name), execution)
            pipe.delete(keys.execution(item.job_id, item.claim), keys.entry(item.job_id))
        pipe.execute()


def _forget_expired(pipe: Pipeline, queues: set[str]) -> None:
    # Their entries expire by themselves; here they stay until somebody opens rq's pages, or now.
    now = int(datetime.now(UTC).timestamp())
    for queue in queues:
        pipe.zremrangebyscore(keys.finished(queue), 0, now)
        pipe.zremrangebyscore(keys.failed(queue), 0, now)


def show_past(client: Redis, past: Sequence[Past]) -> None:
    """Show attempts that ended some time ago, of which Redis knows nothing: one round trip."""
    with client.pipeline(transaction=True) as pipe:
        for item in past:
            fields: dict[Key, Value] = {
                "data": item.data,
                "origin": item.ended.queue,
                "created_at": rq_time(item.created_at),
                "enqueued_at": rq_time(item.created_at),
                "started_at": rq_time(item.started_at),
                "worker_name": item.worker_name,
                "claim": item.ended.claim,
            }
            pipe.hset(keys.entry(item.ended.job_id), mapping=fields)
            _end(pipe, item.ended, item.worker_name, item.ended_at)
        pipe.execute()


def unknown(client: Redis, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of `ids` that have no entry a page could show: one pipeline."""
    with client.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hexists(keys.entry(job_id), "data")
        answers = pipe.execute()
    return {job_id for job_id, is_there in zip(ids, answers, strict=True) if not is_there}


def _end(pipe: Pipeline, item: Ended, worker_name: str, ended_at: datetime) -> None:
    if item.status is Status.COMPLETED:
        status, registry, seconds = "finished", keys.finished(item.queue), FINISHED_SECONDS
        result = _result(item)
    else:
        status, registry, seconds = "failed", keys.failed(item.queue), FAILED_SECONDS
        packed = zlib.compress(item.error.encode())
        pipe.hset(keys.entry(item.job_id), "exc_info", packed)
        result = {"type": 2, "exc_string": base64.b64encode(packed).decode()}
    until = int(ended_at.timestamp()) + seconds
    pipe.hset(keys.entry(item.job_id), mapping={"status": status, "ended_at": rq_time(ended_at)})
    pipe.expireat(keys.entry(item.job_id), until)
    pipe.zadd(registry, {str(item.job_id): until})
    pipe.xadd(keys.results(item.job_id), {**result, "worker_name": worker_name}, maxlen=10)
    pipe.expireat(keys.results(item.job_id), until)


def _result(item: Ended) -> dict[Key, Value]:
    shown = json.dumps(item.result)
    if len(shown) > MAX_SHOWN_RESULT_BYTES:
        shown = json.dumps(f"{len(shown):,} bytes, see the job's page in the admin")
    return {"type": 1, "return_value": base64.b64encode(shown.encode()).decode()}


def drop(client: Redis, ids_by_queue: dict[str, list[UUID]]) -> None:
    """Remove these jobs from everything the dashboard shows: they are cancelled, or live again."""
    with client.pipeline(transaction=True) as pipe:
        for queue, ids in ids_by_queue.items():
            texts = [str(job_id) for job_id in ids]
            pipe.delete(*(keys.entry(text) for text in texts))
            pipe.delete(*(keys.results(text) for text in texts))
            pipe.zrem(keys.finished(queue), *texts)
            pipe.zrem(keys.failed(queue), *texts)
        pipe.execute()


def record_worker(
    client: Redis, *, name: str, queues: Sequence[str], fields: Mapping[Key, Value], seconds: int
) -> None:
    """Show a worker as living for the next `seconds`; at every heartbeat, so a flush is healed."""
    with client.pipeline(transaction=True) as pipe:
        pipe.hset(keys.worker(name), mapping={**fields, "version": VERSION})
        pipe.hdel(keys.worker(name), "death")
        pipe.expire(keys.worker(name), seconds)
        pipe.expire(keys.worker_executions(name), seconds)
        pipe.sadd(keys.WORKERS, keys.worker(name))
        pipe.sadd(keys.QUEUES, *(keys.queue(queue) for queue in queues))
        for queue in queues:
            pipe.sadd(keys.workers_of(queue), keys.worker(name))
        pipe.execute()


def drop_worker(client: Redis, *, name: str, queues: Sequence[str]) -> None:
    """Show a worker no longer."""
    with client.pipeline(transaction=True) as pipe:
        pipe.srem(keys.WORKERS, keys.worker(name))
        for queue in queues:
            pipe.srem(keys.workers_of(queue), keys.worker(name))
        pipe.delete(keys.worker(name), keys.worker_executions(name))
        pipe.execute()
