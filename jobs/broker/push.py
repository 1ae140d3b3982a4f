"""Write entries to Redis: a job's id in its queue's list, and its hash beside it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from redis import Redis
from redis.client import Pipeline

from jobs.broker import keys

# rq shows params on its dashboard; a megabyte of them for every job would fill Redis.
MAX_SHOWN_BYTES = 2_048
_COMPRESSED_FROM = 200  # bytes


# As redis-py's types have them; its mappings are invariant.
Value: TypeAlias = "bytes | bytearray | memoryview[int] | str | int | float"
Key: TypeAlias = Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job as Redis sees it; `params` are already redacted."""

    job_id: UUID
    queue: str
    claim: int
    job_class: str
    params: Mapping[str, Any]
    created_at: datetime


def push(client: Redis, entries: Sequence[Entry], *, at_head: bool = False) -> None:
    """Push `entries` in one MULTI, in order.

    Args:
        client: From broker.client.
        entries: Jobs that are queued, oldest first.
        at_head: Before everything that waits, still oldest first; for what was lost.

    Raises:
        broker.client.Unreachable: Redis is down or hangs; the relay pushes later.
    """
    if not entries:
        return
    with client.pipeline(transaction=True) as pipe:
        for entry in entries:
            pipe.hset(keys.entry(entry.job_id), mapping=_fields(entry))
        for queue in dict.fromkeys(entry.queue for entry in entries):
            ids = [str(entry.job_id) for entry in entries if entry.queue == queue]
            pipe.sadd(keys.QUEUES, keys.queue(queue))
            if at_head:
                pipe.lpush(keys.queue(queue), *reversed(ids))
            else:
                pipe.rpush(keys.queue(queue), *ids)
            _wake(pipe, queue)
        pipe.execute()


def _wake(pipe: Pipeline, queue: str) -> None:
    # One token is enough: a runner that takes it and leaves ids behind puts it back (claim.py).
    pipe.lpush(keys.wake(queue), "1")
    pipe.ltrim(keys.wake(queue), 0, 0)


def _fields(entry: Entry) -> dict[Key, Value]:
    created = rq_time(entry.created_at)
    return {
        "data": description(entry.job_class, entry.params),
        "status": "queued",
        "origin": entry.queue,
        "created_at": created,
        "enqueued_at": created,
        "claim": entry.claim,
    }


def description(job_class: str, params: Mapping[str, Any]) -> bytes:
    """Return rq's `data` field: what the dashboard shows as callable and arguments."""
    data = json.dumps([job_class, None, [], dict(params)]).encode()
    if len(data) > MAX_SHOWN_BYTES:
        shown = {"params": f"{len(data):,} bytes, see the job's page in the admin"}
        data = json.dumps([job_class, None, [], shown]).encode()
    # rq reads it either way; what is short gets no shorter.
    return data if len(data) <= _COMPRESSED_FROM else zlib.compress(data, 1)


def rq_time(moment: datetime) -> str:
    """Return `moment` as rq writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
