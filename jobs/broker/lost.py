"""What Redis has lost: compare rows with entries, and refill a queue in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from redis import Redis

from jobs.broker import keys

_CHECKING = "checking"  # a check of every queued row has begun; whoever finds this takes it up
_CHECKED = "checked"

# A flush while the check went on took the key away: then the check wasn't one.
_END_CHECK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
"""

# Moves a whole list behind another one, in bites: Lua's stack is finite.
_APPEND = """
while true do
  local ids = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
  if #ids == 0 then break end
  redis.call('RPUSH', KEYS[2], unpack(ids))
  redis.call('LTRIM', KEYS[1], #ids, -1)
end
if KEYS[3] and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('LPUSH', KEYS[3], '1')
  redis.call('LTRIM', KEYS[3], 0, 0)
end
"""
_BITE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The queues and the claims at one moment."""

    empty: frozenset[str]  # queues in whose list is nothing and of which no worker holds a claim
    held: frozenset[str]  # entry ids that workers have claimed and not started


def look(client: Redis, queues: Sequence[str], worker_ids: Sequence[UUID]) -> Sight:
    """Read whether `queues` hold anything and what these workers have claimed, in one MULTI."""
    with client.pipeline(transaction=True) as pipe:
        for queue in queues:
            pipe.exists(keys.queue(queue), keys.aside(queue))
        for worker_id in worker_ids:
            pipe.hgetall(keys.claims(worker_id))
        answers = pipe.execute()
    claims = [item for answer in answers[len(queues) :] for item in answer.items()]
    claimed_queues = {queue.decode(errors="replace") for _, queue in claims}
    return Sight(
        empty=frozenset(
            queue
            for queue, is_there in zip(queues, answers, strict=False)
            if not is_there and queue not in claimed_queues
        ),
        held=frozenset(entry.decode(errors="replace") for entry, _ in claims),
    )


def missing(client: Redis, claim_by_id: Mapping[UUID, int]) -> set[UUID]:
    """Return the ids whose entry is missing or bears another claim than the row: one pipeline."""
    with client.pipeline(transaction=False) as pipe:
        for job_id in claim_by_id:
            pipe.hget(keys.entry(job_id), "claim")
        answers = pipe.execute()
    return {
        job_id
        for (job_id, claim), answer in zip(claim_by_id.items(), answers, strict=True)
        if answer is None or answer != str(claim).encode()
    }


def listed(
    client: Redis, ids_by_queue: Mapping[str, Sequence[UUID]], *, within: int | None = None
) -> set[UUID]:
    """Return those ids that stand in their queue's list: one pipeline.

    Args:
        client: From broker.client.
        ids_by_queue: At most a few: each costs a walk along the list.
        within: Look at so many entries from the head; None: at all.
    """
    asked = [(queue, job_id) for queue, ids in ids_by_queue.items() for job_id in ids]
    with client.pipeline(transaction=False) as pipe:
        for queue, job_id in asked:
            pipe.lpos(keys.queue(queue), str(job_id), maxlen=within)
        answers = pipe.execute()
    return {job_id for (_, job_id), place in zip(asked, answers, strict=True) if place is not None}


def is_checked(client: Redis) -> bool:
    """Whether every queued row has been compared since Redis was last empty."""
    return bool(client.get(keys.EPOCH) == _CHECKED.encode())


def begin_check(client: Redis) -> bool:
    """Note that a check of every row begins: until its end `is_checked` is false.

    Returns:
        Whether it begins; False: it goes on where another one broke off, what it pushed stands.
    """
    before = client.set(keys.EPOCH, _CHECKING, get=True)
    return bool(before != _CHECKING.encode())


def end_check(client: Redis) -> None:
    """Note that every row has been compared, unless Redis was flushed meanwhile."""
    client.eval(_END_CHECK, 1, keys.EPOCH, _CHECKING, _CHECKED)


def set_aside(client: Redis, queue: str) -> None:
    """Move the queue's list out of the way, so that older ids can be pushed before it.

    Call after `begin_check`: a check that dies here is taken up, and then brings back.
    """
    client.eval(_APPEND, 2, keys.queue(queue), keys.aside(queue), _BITE)


def bring_back(client: Redis, queue: str) -> None:
    """Append to the queue what was set aside, and wake a runner."""
    client.eval(_APPEND, 3, keys.aside(queue), keys.queue(queue), keys.wake(queue), _BITE)
