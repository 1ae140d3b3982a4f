"""What the dashboard is told late: attempts that ended some time ago, and which it misses."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from redis import Redis
from redis.client import Pipeline

from jobs.broker import keys, registries
from jobs.broker.push import Key, Value, rq_time
from jobs.broker.registries import Ended
from jobs.statuses import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An attempt that ended some time ago, with all that the dashboard shows of it."""

    ended: Ended
    data: bytes  # push.description
    worker_name: str
    created_at: datetime
    started_at: datetime
    ended_at: datetime


def show(client: Redis, past: Sequence[Past]) -> None:
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


def untold(client: Redis, ended: Sequence[Ended]) -> list[Ended]:
    """Return those of `ended` whose entry says that they wait or run: one round trip."""
    with client.pipeline(transaction=False) as pipe:
        for item in ended:
            pipe.hget(keys.entry(item.job_id), "status")
        answers = pipe.execute()
    waits = {b"queued", b"started"}
    return [item for item, status in zip(ended, answers, strict=True) if status in waits]


def unknown(client: Redis, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of `ids` that have no entry a page could show: one pipeline."""
    with client.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hexists(keys.entry(job_id), "data")
        answers = pipe.execute()
    return {job_id for job_id, is_there in zip(ids, answers, strict=True) if not is_there}


def _end(pipe: Pipeline, item: Ended, worker_name: str, ended_at: datetime) -> None:
    if item.status is Status.COMPLETED:
        status, registry = "finished", keys.finished(item.queue)
        seconds = registries.FINISHED_SECONDS
        result: dict[Key, Value] = {"type": 1, "return_value": registries.result_of(item)}
    else:
        status, registry = "failed", keys.failed(item.queue)
        seconds = registries.FAILED_SECONDS
        packed = zlib.compress(item.error.encode())
        pipe.hset(keys.entry(item.job_id), "exc_info", packed)
        result = {"type": 2, "exc_string": base64.b64encode(packed).decode()}
    until = int(ended_at.timestamp()) + seconds
    pipe.hset(keys.entry(item.job_id), mapping={"status": status, "ended_at": rq_time(ended_at)})
    pipe.expireat(keys.entry(item.job_id), until)
    pipe.zadd(registry, {str(item.job_id): until})
    pipe.xadd(keys.results(item.job_id), {**result, "worker_name": worker_name}, maxlen=10)
    pipe.expireat(keys.results(item.job_id), until)
