"""What workers that have ended left in Redis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from redis import Redis

from jobs.broker import keys

# A job's id and its claim, as registries.record_start writes them.
_MEMBER = re.compile(rb"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(0|[1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """A worker that is dead or stopped."""

    worker_id: UUID
    name: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An attempt that the dashboard shows as running."""

    job_id: UUID
    claim: int
    queue: str
    worker_name: str


def with_claims(client: Redis, departed: Sequence[Departed]) -> list[Departed]:
    """Return those that left claims: one pipeline."""
    return _where_exists(client, departed, [keys.claims(item.worker_id) for item in departed])


def still_shown(client: Redis, departed: Sequence[Departed]) -> list[Departed]:
    """Return those whose name the dashboard still shows: one pipeline."""
    return _where_exists(client, departed, [keys.worker(item.name) for item in departed])


def _where_exists(
    client: Redis, departed: Sequence[Departed], names: Sequence[str]
) -> list[Departed]:
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.exists(name)
        answers = pipe.execute()
    return [worker for worker, is_there in zip(departed, answers, strict=True) if is_there]


def running(client: Redis, queues: Sequence[str]) -> list[Running]:
    """Return what rq's started registries hold of our jobs; plain rq jobs are rq's own business."""
    with client.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.zrange(keys.started(queue), 0, -1)
        for queue in queues:
            for registry in keys.registries(queue):
                # So that what is of another type is put aside: the dashboard's page fails on it.
                pipe.zcard(registry)
        answers = pipe.execute()[: len(queues)]
    found = [
        (queue, *attempt)
        for queue, members in zip(queues, answers, strict=True)
        for attempt in map(_attempt, members)
        if attempt is not None
    ]
    with client.pipeline(transaction=False) as pipe:
        for _, job_id, claim in found:
            pipe.hget(keys.execution(job_id, claim), "worker_name")
        names = pipe.execute()
    return [
        Running(
            job_id=job_id,
            claim=claim,
            queue=queue,
            worker_name=(name or b"").decode(errors="replace"),
        )
        for (queue, job_id, claim), name in zip(found, names, strict=True)
    ]


def _attempt(member: bytes) -> tuple[UUID, int] | None:
    # Only as we write it: what is written otherwise could not be taken out again.
    found = _MEMBER.fullmatch(member)
    return (UUID(found[1].decode()), int(found[2])) if found else None
