"""Take ids from the queues and record who took them; put them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID

from redis import Redis
from redis.commands.core import Script

from jobs.broker import keys

# One script, so that no death of the taker leaves an id in neither place. A token stays in the
# wake list while ids are left, so that the next idle runner looks as well.
_TAKE = """
local taken = {}
if redis.call('EXISTS', KEYS[#KEYS]) == 1 then
  return taken
end
local left = tonumber(ARGV[1])
for i = 2, #KEYS - 1, 2 do
  if left > 0 then
    local ids = redis.call('LPOP', KEYS[i], left)
    if ids then
      for _, id in ipairs(ids) do
        redis.call('HSET', KEYS[1], id, ARGV[i / 2 + 1])
        taken[#taken + 1] = ARGV[i / 2 + 1]
        taken[#taken + 1] = id
      end
      left = left - #ids
    end
  end
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('LPUSH', KEYS[i + 1], '1')
    redis.call('LTRIM', KEYS[i + 1], 0, 0)
  end
end
return taken
"""

# Ids go back to the head in the order given; only those that this worker still holds.
_PUT_BACK = """
for i = #ARGV, 1, -1 do
  local queue = redis.call('HGET', KEYS[1], ARGV[i])
  if queue then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('LPUSH', KEYS[2] .. queue, ARGV[i])
    redis.call('LPUSH', KEYS[3] .. queue, '1')
    redis.call('LTRIM', KEYS[3] .. queue, 0, 0)
  end
end
"""


def take(
    client: Redis, queues: Sequence[str], worker_id: UUID, *, count: int
) -> list[tuple[str, str]]:
    """Take up to `count` ids from the heads of `queues`, the first queue first.

    Takes nothing while workers are suspended (`manage.py rqsuspend`). The ids stay in the
    worker's claims until `forget` or `put_back`: after its death they can be found.

    Returns:
        Pairs of queue and entry id. An id is any text that stood in the list, ours or not.
    """
    script = _script(client, _TAKE)
    key_list = [keys.claims(worker_id)]
    for queue in queues:
        key_list += [keys.queue(queue), keys.wake(queue)]
    key_list.append(keys.SUSPENDED)
    raw: list[bytes] = script(keys=key_list, args=[count, *queues])
    texts = [text(item) for item in raw]
    return list(zip(texts[::2], texts[1::2], strict=True))


def wait(client: Redis, queues: Sequence[str], *, seconds: float) -> None:
    """Return when something was pushed to one of `queues`, or after `seconds` (at least 0.01)."""
    client.blpop([keys.wake(queue) for queue in queues], timeout=seconds)


def forget(client: Redis, worker_id: UUID, ids: Sequence[str]) -> None:
    """Drop `ids` from the worker's claims: they are started, or nobody's."""
    if ids:
        client.hdel(keys.claims(worker_id), *ids)


def put_back(client: Redis, worker_id: UUID, ids: Sequence[str]) -> None:
    """Put claimed `ids` back to the heads of their queues, in this order."""
    if ids:
        _script(client, _PUT_BACK)(
            keys=[keys.claims(worker_id), keys.queue(""), keys.wake("")], args=list(ids)
        )


def held(client: Redis, worker_id: UUID) -> Mapping[str, str]:
    """Return what a worker has claimed and not started: entry id -> queue."""
    return {
        text(entry): text(queue) for entry, queue in client.hgetall(keys.claims(worker_id)).items()
    }


def text(raw: bytes | str) -> str:
    """Return what Redis holds as text; an id that isn't UTF-8 is nobody's."""
    return raw if isinstance(raw, str) else raw.decode(errors="replace")


@cache
def _script(client: Redis, text: str) -> Script:
    return client.register_script(text)
