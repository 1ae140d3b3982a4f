"""Take ids from the queues and record who took them; put them back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from jobs import conf
from jobs.broker import keys, registries, scripts
from jobs.broker.registries import Ended
from jobs.broker.scripts import Call, Script

logger = logging.getLogger("jobs.broker")

# Then a runner that is to stop must hear of it.
MAX_ODD = 10_000
_SAID = 5  # of the entries that were put aside, in the log

# What rq takes for an id; anything longer was put there to do harm.
_ID = "local function is_id(text) return #text <= 200 and text:find('^[%w_-]+$') end\n"

# One script, so that no death of the taker leaves an id in neither place. A token stays in the
# wake list while ids are left, so that the next idle runner looks as well.
_TAKE = Script(
    _ID
    + """
local taken, odd = {}, {}
local odd_key = KEYS[#KEYS]
if redis.call('EXISTS', KEYS[#KEYS - 1]) == 1 then
  return {taken, odd, 0}
end
local more = 0
-- A key of another type must fail before an id has left its list.
redis.call('HLEN', KEYS[1])
local left = tonumber(ARGV[1])
for i = 2, #KEYS - 2, 2 do
  if left > 0 then
    local ids = redis.pcall('LPOP', KEYS[i], left)
    if ids and ids.err then
      if #taken + #odd == 0 then return ids end
      break
    end
    local claims = {}
    for _, id in ipairs(ids or {}) do
      left = left - 1
      if is_id(id) then
        claims[#claims + 1], claims[#claims + 2] = id, ARGV[i / 2 + 1]
        taken[#taken + 1], taken[#taken + 2] = ARGV[i / 2 + 1], id
      else
        redis.pcall('RPUSH', odd_key, ARGV[i / 2 + 1] .. ' ' .. id:sub(1, 1000))
        odd[#odd + 1] = ARGV[i / 2 + 1]
        odd[#odd + 1] = id:sub(1, 60)
      end
    end
    if #claims > 0 then redis.call('HSET', KEYS[1], unpack(claims)) end
  end
  if redis.call('EXISTS', KEYS[i]) == 1 then
    more = 1
    if redis.call('EXISTS', KEYS[i + 1]) == 0 then redis.call('LPUSH', KEYS[i + 1], '1') end
  end
end
if #odd > 0 then
  redis.pcall('LTRIM', odd_key, -1000, -1)
  redis.pcall('EXPIRE', odd_key, 86400)
end
return {taken, odd, more}
"""
)

# Ids go back to the head in the order given; only those that this worker still holds. What names a
# queue that isn't one of ours is no longer claimed, and no longer proven pushed: the relay's.
_PUT_BACK = Script("""
local count = tonumber(ARGV[1])
local number_by_queue = {}
for i = 1, count do number_by_queue[ARGV[1 + i]] = i end
local stray = {}
for i = #ARGV, count + 2, -1 do
  local queue = redis.call('HGET', KEYS[1], ARGV[i])
  if queue then
    local number = number_by_queue[queue]
    if number then
      redis.call('LPUSH', KEYS[2 * number], ARGV[i])
      redis.pcall('LPUSH', KEYS[2 * number + 1], '1')
      redis.pcall('LTRIM', KEYS[2 * number + 1], 0, 0)
    else
      redis.pcall('HDEL', KEYS[#KEYS] .. ARGV[i], 'claim')
      stray[#stray + 1] = ARGV[i]
    end
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return stray
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a worker has claimed."""

    # Pairs of queue and entry id. Ours or plain rq's; what can be no id is put aside.
    entries: list[tuple[str, str]] = field(default_factory=list)
    more: bool = False  # something is left in one of the queues


def take(
    client: Redis,
    queues: Sequence[str],
    worker_id: UUID,
    *,
    count: int,
    ended: Sequence[Ended] = (),
    worker_name: str = "",
) -> Taken:
    """Take up to `count` ids from the heads of `queues`, the first queue first: one round trip.

    Takes nothing while workers are suspended (`manage.py rqsuspend`). The ids stay in the
    worker's claims until they are told of, or `forget` or `put_back`: after its death they can be
    found.

    Args:
        client: From broker.client.
        queues: In their order.
        worker_id: Who takes them.
        count: At least 1.
        ended: Attempts of which the dashboard is told in the same round trip.
        worker_name: Of the worker that `ended` belong to.
    """
    call = _call(queues, worker_id, count)
    return _taken(client, call, _take_and_tell(client, call, ended, worker_name, worker_id))


def take_when_pushed(
    client: Redis, queues: Sequence[str], worker_id: UUID, *, count: int, seconds: float
) -> Taken:
    """Wait until something is pushed, at most `seconds` (at least 0.01), then `take`."""
    call = _call(queues, worker_id, count)
    wakes = [wake for queue in queues for wake in _wakes(queue)]
    return _taken(client, call, scripts.run_when_pushed(client, call, wakes, seconds=seconds))


def _wakes(queue: str) -> tuple[str, str]:
    return keys.wake(queue), keys.wake_room(queue)


def _call(queues: Sequence[str], worker_id: UUID, count: int) -> Call:
    key_list = [keys.claims(worker_id)]
    for queue in queues:
        key_list += [keys.queue(queue), keys.wake(queue)]
    key_list += [keys.SUSPENDED, keys.ODD]
    return Call(script=_TAKE, keys=key_list, args=[count, *queues])


def _taken(client: Redis, call: Call, answer: Any) -> Taken:
    """Return what an answer says; where it holds nothing but oddities, take again."""
    count_aside, first = 0, list[bytes]()  # of the latter queue and start in turns
    try:
        for _ in range(MAX_ODD):
            raw, odd, more = answer
            count_aside += len(odd) // 2
            first += odd[: 2 * _SAID - len(first)]
            if raw or not odd:
                texts = [item.decode() for item in raw]
                entries = list(zip(texts[::2], texts[1::2], strict=True))
                return Taken(entries=entries, more=bool(more))
            answer = scripts.run(client, call)
        return Taken(more=True)
    finally:
        # Once for all of them, and also when Redis has gone away meanwhile.
        if count_aside:
            _tell_aside(count_aside, first)


def _take_and_tell(
    client: Redis, call: Call, ended: Sequence[Ended], worker_name: str, worker_id: UUID
) -> Any:
    if not ended:
        return scripts.run(client, call)
    end = registries.end(ended, worker_name=worker_name, worker_id=worker_id)
    told, taken = scripts.run_all(client, [end, call])
    if isinstance(taken, Exception):
        raise taken
    try:
        if not isinstance(told, Exception):
            registries.describe(client, ended, told)
        elif registries.put_aside(client, ended, told):
            registries.record_end(client, worker_name=worker_name, worker_id=worker_id, ended=ended)
        else:
            registries.missed(told)
    except RedisError as error:
        # What has been taken is in our hands: it must not be lost over what a page shows.
        registries.missed(error)
    return taken


def _tell_aside(count: int, first: Sequence[bytes]) -> None:
    said = [
        f"of queue {queue.decode()}: {start!r}"
        for queue, start in zip(first[::2], first[1::2], strict=True)
    ]
    if count > len(said):
        said.append(f"and {count - len(said)} more")
    logger.error(
        "Entries that can be no id were put aside, into %s (%d): %s",
        keys.ODD,
        count,
        "; ".join(said),
    )


def forget(client: Redis, worker_id: UUID, ids: Sequence[str]) -> None:
    """Drop `ids` from the worker's claims: they are started, or nobody's."""
    if ids:
        client.hdel(keys.claims(worker_id), *ids)


def disown(client: Redis, worker_id: UUID, ids: Sequence[str]) -> None:
    """Drop `ids`, whose rows stay queued, from the worker's claims: the relay pushes them again."""
    with client.pipeline(transaction=True) as pipe:
        for entry_id in ids:
            pipe.hdel(keys.entry(entry_id), "claim")  # no longer proven pushed
            pipe.hdel(keys.claims(worker_id), entry_id)
        pipe.execute()


def put_back(client: Redis, worker_id: UUID, ids: Sequence[str]) -> None:
    """Put claimed `ids` back to the heads of their queues, in this order."""
    if not ids:
        return
    queues = conf.current().queues
    key_list = [keys.claims(worker_id)]
    for queue in queues:
        key_list += [keys.queue(queue), keys.wake(queue)]
    key_list.append(keys.entry(""))
    call = Call(script=_PUT_BACK, keys=key_list, args=[len(queues), *queues, *ids])
    strays = scripts.run(client, call)
    for entry in strays:
        logger.error(
            "Entry %s was claimed from a queue that is not in RQ_QUEUES: dropped. A job's row "
            "stays, and is pushed again.",
            entry.decode(),
        )


def held(client: Redis, worker_id: UUID) -> Mapping[str, str]:
    """Return what a worker has claimed and not started: entry id -> queue.

    Drops what nobody can have claimed: `take` records ids only.
    """
    claims = cast("dict[bytes, bytes]", client.hgetall(keys.claims(worker_id)))
    odd = [entry for entry in claims if not keys.is_entry_id(entry.decode(errors="replace"))]
    if odd:
        client.hdel(keys.claims(worker_id), *odd)
        logger.error("Claims of worker %s that are no ids were dropped: %.200r", worker_id, odd)
    return {
        entry.decode(): queue.decode(errors="replace")
        for entry, queue in claims.items()
        if entry not in odd
    }
