"""rq's own registries, kept true for the django-rq dashboard. No decision is read here."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import to_json
from redis import Redis
from redis.exceptions import ResponseError
from rq.version import VERSION

from jobs.broker import keys, poison, scripts, telling
from jobs.broker.push import Key, Value, rq_time
from jobs.broker.scripts import Call
from jobs.broker.seldom import Seldom
from jobs.statuses import Status
from jobs.values import value

logger = logging.getLogger("jobs.broker")

FINISHED_SECONDS = 3_600
FAILED_SECONDS = 86_400
MAX_SHOWN_RESULT_BYTES = 16_384
_TRIES = 3  # while one key of another type is put aside, the next may be planted


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
class Described:
    """What only the entry says of a job, which its push has written."""

    data: bytes  # push.description
    created_at: datetime


@value
class Ended:
    """An attempt that has just been settled, and what its job became."""

    job_id: UUID
    queue: str
    claim: int
    status: Status
    working_seconds: float
    result: Any = None
    text: str = ""  # the result as JSON; empty: not yet written
    error: str = ""  # traceback, or the one line
    started_at: datetime | None = None  # None: as the entry says
    ended_at: datetime | None = None  # None: now
    describe: Callable[[], Described] | None = None  # asked where the entry is gone


def record_start(
    client: Redis, *, worker_name: str, worker_id: UUID, started: Sequence[Started]
) -> None:
    """Show these attempts as started, and drop them from the worker's claims: one round trip."""
    for some in _portions(started):
        _run(client, _start(some, worker_name, worker_id), some)


def record_end(
    client: Redis, *, worker_name: str, ended: Sequence[Ended], worker_id: UUID | None = None
) -> None:
    """Show these attempts as ended, and drop them from the worker's claims: one round trip."""
    for some in _portions(ended):
        call = end(some, worker_name=worker_name, worker_id=worker_id)
        describe(client, some, _run(client, call, some))


def end(ended: Sequence[Ended], *, worker_name: str, worker_id: UUID | None) -> Call:
    """Return the call of `record_end`, for whoever has another one to make; see `describe`."""
    now = datetime.now(UTC)
    seconds = int(now.timestamp())
    good = bad = 0
    worked = 0.0
    jobs, tracebacks = [], []
    for item in ended:
        kind = _KINDS.get(item.status, "gone")
        started_at = "" if item.started_at is None else _moment(item.started_at)
        job = [
            str(item.job_id),
            item.queue,
            item.claim,
            kind,
            started_at,
            _moment(item.ended_at or now),
        ]
        if kind == "finished":
            good += 1
            job.append(result_of(item))
        elif kind == "failed":
            bad += 1
            packed = zlib.compress(item.error.encode())
            tracebacks.append(packed)
            job += [base64.b64encode(packed).decode(), 1 + len(tracebacks)]
        worked += item.working_seconds
        jobs.append(job)
    head = {
        "worker": worker_name,
        "seconds": seconds,
        "finished": seconds + FINISHED_SECONDS,
        "failed": seconds + FAILED_SECONDS,
        "good": good,
        "bad": bad,
        "worked": worked,
        "ended": jobs,
    }
    return Call(
        script=telling.END,
        keys=_keys(worker_name, worker_id),
        # It writes moments as well, at a fraction of what json's own takes.
        args=[to_json(head), *tracebacks],
    )


def _moment(at: datetime) -> datetime | str:
    # As JSON has a moment of UTC, rq has it.
    return at if at.tzinfo is UTC else rq_time(at.astimezone(UTC))


# Given back: the push that follows writes the entry anew. Of others rq has no word: a job that
# waits for its retry is shown in the admin.
_KINDS = {Status.COMPLETED: "finished", Status.FAILED: "failed", Status.QUEUED: "queued"}


def describe(client: Redis, ended: Sequence[Ended], lacking: Sequence[bytes]) -> None:
    """Write what the entries lack that `end` has found without description: Redis was flushed."""
    described = {str(item.job_id).encode(): item for item in ended if item.describe is not None}
    if not described.keys() & set(lacking):
        return
    with client.pipeline(transaction=True) as pipe:
        for job_id in lacking:
            item = described.get(job_id)
            if item is not None and item.describe is not None:
                about = item.describe()
                fields: dict[Key, Value] = {
                    "data": about.data,
                    "origin": item.queue,
                    "created_at": rq_time(about.created_at),
                    "enqueued_at": rq_time(about.created_at),
                }
                pipe.hset(keys.entry(item.job_id), mapping=fields)
        pipe.execute()


_missed = Seldom(logger, "Redis is unreachable: the dashboard misses an entry (%s)")


def missed(error: Exception) -> None:
    """Say, once a minute, that the dashboard could not be told: that costs it, not the job."""
    _missed.warn(error)


def _start(started: Sequence[Started], worker_name: str, worker_id: UUID) -> Call:
    now = datetime.now(UTC)
    jobs = []
    for item in started:
        at = item.started_at or now
        created = rq_time(item.created_at)
        timeout = int(item.timeout_seconds)
        job = [str(item.job_id), item.queue, item.claim, created, rq_time(at), at.timestamp()]
        jobs.append([*job, timeout])
    head = {
        "worker": worker_name,
        "now": rq_time(now),
        "seconds": now.timestamp(),
        "started": jobs,
    }
    return Call(
        script=telling.START,
        keys=_keys(worker_name, worker_id),
        args=[json.dumps(head), *(item.data for item in started)],
    )


def _keys(worker_name: str, worker_id: UUID | None) -> list[str]:
    return [
        keys.claims(worker_id or "nobody"),
        keys.worker(worker_name),
        keys.worker_executions(worker_name),
        keys.PROBE,
    ]


_T = TypeVar("_T")


def _portions(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    # So many words Lua can hand over at once; a batch has 64.
    for first in range(0, len(items), 500):
        yield items[first : first + 500]


def _run(client: Redis, call: Call, items: Sequence[Started | Ended]) -> Any:
    for _ in range(_TRIES - 1):
        try:
            return scripts.run(client, call)
        except ResponseError as error:
            if not put_aside(client, items, error):
                raise
    return scripts.run(client, call)


def put_aside(client: Redis, items: Sequence[Started | Ended], error: Exception) -> bool:
    """Put aside the key of another type that a script met; whether it was that, and may be again.

    A script's keys are not among its words, where `poison` looks for them.
    """
    if not poison.is_wrong_type(error):
        return False
    names = {keys.results(item.job_id) for item in items}
    for item in items:
        names |= {keys.entry(item.job_id), keys.execution(item.job_id, item.claim)}
        names |= {keys.started(item.queue), keys.finished(item.queue), keys.failed(item.queue)}
    return poison.put_aside_all(client, names)


def result_of(item: Ended) -> str:
    """Return the result as rq keeps it; of a large one, where it is to be found."""
    shown = (item.text or json.dumps(item.result)).encode()
    if len(shown) > MAX_SHOWN_RESULT_BYTES:
        shown = json.dumps(f"{len(shown):,} bytes, see the job's page in the admin").encode()
    return base64.b64encode(shown).decode()


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
        pipe.scard(keys.worker_executions(name))  # one of another type is met here, not by a start
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
