"""Look at the heads of the queues, and take just what was seen there."""

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


class Heads(NamedTuple):
    """The first ids of a queue."""

    queue: str
    ids: list[str]


def peek(client: Redis, queues: Sequence[str], *, count: int) -> Heads | None:
    """Return up to `count` ids at the head of the first of `queues` that isn't empty.

    None where all are empty. What is no id may be among them, as it stands in the list.
    """
    with client.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.lrange(keys.queue(queue), 0, count - 1)
        found = cast("list[list[bytes]]", pipe.execute())
    for queue, ids in zip(queues, found, strict=True):
        if ids:
            return Heads(queue=queue, ids=[one.decode(errors="replace") for one in ids])
    return None


def take(client: Redis, heads: Heads, worker_id: UUID) -> list[str]:
    """Take those of `heads.ids`, from the first on, that still stand at the queue's head.

    Takes nothing while workers are suspended. Recorded in the worker's claims, as `claim.take`
    does it.
    """
    key_list = [keys.claims(worker_id), keys.queue(heads.queue), keys.SUSPENDED]
    call = Call(script=_TAKE_SEEN, keys=key_list, args=[heads.queue, *heads.ids])
    return [one.decode() for one in scripts.run(client, call)]
