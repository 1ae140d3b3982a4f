"""Write entries to Redis: a job's id in its queue's list, and its hash beside it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from redis import Redis

from jobs.broker import keys, scripts
from jobs.broker.scripts import Call, Script

# rq shows params on its dashboard; a megabyte of them for every job would fill Redis.
MAX_SHOWN_BYTES = 2_048
_COMPRESSED_FROM = 200  # bytes
# Of one script, which holds up everybody else: some milliseconds. Lua takes no list of many more.
MAX_AT_ONCE = 1_000

_ALIKE = attrgetter("queue", "claim", "created_at")
_encode = json.JSONEncoder().encode  # kept: json.dumps would ask for one a call

# As redis-py's types have them; its mappings are invariant.
Value: TypeAlias = "bytes | bytearray | memoryview[int] | str | int | float"
Key: TypeAlias = Value


class Entry(NamedTuple):
    """A job as Redis sees it."""

    job_id: str
    queue: str
    claim: int
    data: bytes  # of `description`
    created_at: datetime


# One script, so that an entry's hash and its place in the list come together. A key of another type
# makes it fail before an id is in a list: the call that puts the key aside and comes again pushes
# nothing twice. An id is what follows rq's prefix in the key of its hash.
_PUSH = Script("""
local count = tonumber(ARGV[1])
local ids, is_known, tokens = {}, {}, {}
for number = 1, count do
  ids[number] = {}
  is_known[number] = redis.call('SISMEMBER', KEYS[1], KEYS[2 * number])
  redis.call('LLEN', KEYS[2 * number])
  tokens[number] = redis.call('LLEN', KEYS[2 * number + 1])
end
local key, at = 2 * count + 2, count + 3
while key <= #KEYS do
  local number, claim, created_at = tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
  local last = key + tonumber(ARGV[at + 4]) - 1
  at = at + 4
  for i = key, last do
    at = at + 1
    redis.call('HSET', KEYS[i], 'data', ARGV[at], 'status', 'queued', 'origin', ARGV[number + 3],
      'created_at', created_at, 'enqueued_at', created_at, 'claim', claim)
    table.insert(ids[number], KEYS[i]:sub(#ARGV[2] + 1))
  end
  key = last + 1
end
for number = 1, count do
  if is_known[number] == 0 then redis.call('SADD', KEYS[1], KEYS[2 * number]) end
  if ARGV[3] == 'head' then
    local reversed = {}
    for i = #ids[number], 1, -1 do table.insert(reversed, ids[number][i]) end
    redis.call('LPUSH', KEYS[2 * number], unpack(reversed))
  else
    redis.call('RPUSH', KEYS[2 * number], unpack(ids[number]))
  end
  -- One token is enough: a runner that takes it and leaves ids behind puts it back (claim.py).
  if tokens[number] == 0 then redis.call('LPUSH', KEYS[2 * number + 1], '1') end
end
""")


def push(client: Redis, entries: Sequence[Entry], *, at_head: bool = False) -> None:
    """Push `entries` in order, each thousand in one step and one round trip.

    Args:
        client: From broker.client.
        entries: Jobs that are queued, oldest first.
        at_head: Before everything that waits, still oldest first; for what was lost.

    Raises:
        broker.client.Unreachable: Redis is down or hangs; the relay pushes later.
    """
    chunks = [entries[i : i + MAX_AT_ONCE] for i in range(0, len(entries), MAX_AT_ONCE)]
    for chunk in reversed(chunks) if at_head else chunks:
        scripts.run(client, call(chunk, at_head=at_head))


def call(entries: Sequence[Entry], *, at_head: bool = False) -> Call:
    """Return the call that pushes `entries`, MAX_AT_ONCE of them at most."""
    end = "head" if at_head else "tail"
    if len(entries) == 1:  # as most are: nothing is to be grouped
        [(job_id, name, claim, data, created_at)] = entries
        return Call(
            script=_PUSH,
            keys=(keys.QUEUES, keys.queue(name), keys.wake(name), keys.entry(job_id)),
            args=(1, keys.entry(""), end, name, 1, claim, rq_time(created_at), 1, data),
        )
    queues = list(dict.fromkeys([entry.queue for entry in entries]))
    numbers = {queue: number for number, queue in enumerate(queues, start=1)}
    key_list = [keys.QUEUES]
    args: list[Value] = [len(queues), keys.entry(""), end, *queues]
    for queue in queues:
        key_list += (keys.queue(queue), keys.wake(queue))
    # What is alike is said once: a thousand of one dispatch_many are.
    for (queue, claim, created_at), run in groupby(entries, key=_ALIKE):
        alike = list(run)
        key_list += [keys.entry(entry.job_id) for entry in alike]
        args += (numbers[queue], claim, rq_time(created_at), len(alike))
        args += [entry.data for entry in alike]
    return Call(script=_PUSH, keys=key_list, args=args)


def description(job_class: str, params: Mapping[str, Any]) -> bytes:
    """Return rq's `data` field: what the dashboard shows as callable and arguments."""
    return described(job_class, _encode(dict(params)))


def described(job_class: str, params_json: str) -> bytes:
    """Return what `description` does, of params that are JSON already; redacted ones are hidden."""
    name = _encode(job_class)
    data = f"[{name},null,[],{params_json}]".encode()
    if len(data) > MAX_SHOWN_BYTES:
        shown = _encode({"params": f"{len(data):,} bytes, see the job's page in the admin"})
        data = f"[{name},null,[],{shown}]".encode()
    # rq reads it either way; what is short gets no shorter.
    return data if len(data) <= _COMPRESSED_FROM else zlib.compress(data, 1)


def rq_time(moment: datetime) -> str:
    """Return `moment` as rq writes it."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"
