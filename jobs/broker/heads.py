"""Look at the heads of the queues, and take what was seen there, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast
from uuid import UUID

from redis import Redis

from jobs.broker import keys, scripts
from jobs.broker.scripts import Call, Script

# As claim.py's script, but of one queue and for as long as its head is the id that was seen there:
# another worker may have taken it, or the relay have put an older one before it.
_TAKE_SEEN = Script("""
if redis.call('EXISTS', KEYS[3]) == 1 then return {} end
redis.call('HLEN', KEYS[1])
local taken = {}
for i = 2, #ARGV do
  if redis.call('LINDEX', KEYS[2], 0) ~= ARGV[i] then break end
  redis.call('LPOP', KEYS[2])
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[1])
  taken[#taken + 1] = ARGV[i]
end
return taken
""")

# Each from its place near the head, if it still stands there; LREM alone would look through all of
# a long queue. What stays is somebody's as well: the token says so, as in claim.py.
_PICK = Script("""
if redis.call('EXISTS', KEYS[4]) == 1 then return {} end
redis.call('HLEN', KEYS[1])
local taken = {}
for i = 3, #ARGV do
  if redis.call('LPOS', KEYS[2], ARGV[i], 'MAXLEN', ARGV[2]) then
    redis.call('LREM', KEYS[2], 1, ARGV[i])
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[1])
    taken[#taken + 1] = ARGV[i]
  end
end
if #taken > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.pcall('LPUSH', KEYS[3], '1')
  redis.pcall('LTRIM', KEYS[3], 0, 0)
end
return taken
""")
# A window is looked for again so much further down: others may have pushed to the head meanwhile.
_SLACK = 100


class Heads(NamedTuple):
    """The first ids of a queue."""

    queue: str
    ids: list[str]


def peek(client: Redis, queues: Sequence[str], *, count: int) -> Heads | None:
    """Return up to `count` ids at the head of the first of `queues` that isn't empty.

    None where all are empty. What is no id may be among them, as it stands in the list.
    """
    found = zip(queues, _ranges(client, queues, count), strict=True)
    return next((Heads(queue=queue, ids=ids) for queue, ids in found if ids), None)


def windows(client: Redis, queues: Sequence[str], *, count: int) -> list[Heads]:
    """Return up to `count` ids at the head of each of `queues`; what can be no id is left out."""
    return [
        Heads(queue=queue, ids=[one for one in ids if keys.is_entry_id(one)])
        for queue, ids in zip(queues, _ranges(client, queues, count), strict=True)
    ]


def _ranges(client: Redis, queues: Sequence[str], count: int) -> list[list[str]]:
    with client.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.lrange(keys.queue(queue), 0, count - 1)
        found = cast("list[list[bytes]]", pipe.execute())
    return [[one.decode(errors="replace") for one in ids] for ids in found]


def take(client: Redis, heads: Heads, worker_id: UUID) -> list[str]:
    """Take those of `heads.ids`, from the first on, that still stand at the queue's head.

    Takes nothing while workers are suspended. Recorded in the worker's claims, as `claim.take`
    does it.
    """
    key_list = [keys.claims(worker_id), keys.queue(heads.queue), keys.SUSPENDED]
    call = Call(script=_TAKE_SEEN, keys=key_list, args=[heads.queue, *heads.ids])
    return [one.decode() for one in scripts.run(client, call)]


def pick(client: Redis, heads: Heads, worker_id: UUID, *, count: int) -> list[str]:
    """Take those of `heads.ids` that still stand near the head, past what stands before them.

    Takes nothing while workers are suspended, and records as `take` does.

    Args:
        client: From broker.client.
        heads: Seen in `windows`.
        worker_id: Who takes them.
        count: Of that window.
    """
    key_list = [keys.claims(worker_id), keys.queue(heads.queue), keys.wake(heads.queue)]
    key_list.append(keys.SUSPENDED)
    call = Call(script=_PICK, keys=key_list, args=[heads.queue, count + _SLACK, *heads.ids])
    return [one.decode() for one in scripts.run(client, call)]


def await_push(client: Redis, queues: Sequence[str], *, seconds: float) -> bool:
    """Wait at most `seconds` for a push to one of `queues`; return whether there was one.

    The token that told of it is passed on to runners with room for async jobs.
    """
    told = cast(
        "tuple[bytes, bytes] | None", client.blpop([keys.wake(q) for q in queues], timeout=seconds)
    )
    if told is None:
        return False
    queue = next(queue for queue in queues if keys.wake(queue).encode() == told[0])
    with client.pipeline(transaction=False) as pipe:
        pipe.lpush(keys.wake_room(queue), "1")
        pipe.ltrim(keys.wake_room(queue), 0, 0)
        pipe.execute()
    return True
