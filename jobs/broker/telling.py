"""The scripts that keep rq's registries: one call for a batch, where rq sends twenty a job."""

from __future__ import annotations

from jobs.broker import keys
from jobs.broker.scripts import Script

# One argument with all the jobs, as JSON: packing words is what a pipeline costs its client. What
# isn't text follows it, by number. Removals and additions are made once for all of a queue.
_COMMON = f"""
local ENTRY, EXECUTION, RESULTS = '{keys.entry("")}', '{keys.EXECUTION}', '{keys.results("")}'
local STARTED, FINISHED, FAILED = '{keys.started("")}', '{keys.finished("")}', '{keys.failed("")}'
local CLAIMS, WORKER, EXECUTIONS = KEYS[1], KEYS[2], KEYS[3]
local head = cjson.decode(ARGV[1])

local function each(command, prefix, words_by_queue)
  for queue, words in pairs(words_by_queue) do
    redis.call(command, prefix .. queue, unpack(words))
  end
end

local function add(words_by_queue, queue, ...)
  local words = words_by_queue[queue]
  if not words then
    words = {{}}
    words_by_queue[queue] = words
  end
  for _, word in ipairs({{...}}) do words[#words + 1] = word end
end

-- A Redis that is full refuses to store, though not what follows a removal in the same script.
-- This stores nothing.
local full = redis.pcall('SETRANGE', KEYS[4], 0, '')
full = type(full) == 'table' and full.err and full.err:find('OOM') and full
"""

# Each of `head.started`: id, queue, claim, created, started, started in seconds, timeout; its
# `data` is the argument of its number.
START = Script(
    _COMMON
    + """
local ids, executions, started = {}, {}, {}
for number, job in ipairs(head.started) do
  ids[number] = job[1]
  executions[number] = job[1] .. ':' .. job[3]
  add(started, job[2], '+inf', executions[number])
end
redis.call('HDEL', CLAIMS, unpack(ids))
if full then return full end
for number, job in ipairs(head.started) do
  redis.call('HSET', ENTRY .. job[1], 'data', ARGV[number + 1], 'status', 'started',
    'origin', job[2], 'created_at', job[4], 'enqueued_at', job[4], 'started_at', job[5],
    'last_heartbeat', head.now, 'worker_name', head.worker, 'timeout', job[7], 'claim', job[3])
  redis.call('PERSIST', ENTRY .. job[1])
  redis.call('HSET', EXECUTION .. executions[number], 'id', job[3], 'job_id', job[1],
    'created_at', job[6], 'last_heartbeat', head.seconds, 'worker_name', head.worker)
end
-- No expiry: opening a dashboard page fails every started job whose entry has expired.
each('ZADD', STARTED, started)
redis.call('SADD', EXECUTIONS, unpack(executions))
redis.call('HSET', WORKER, 'state', 'busy')
"""
)

# Each of `head.ended`: id, queue, claim, what became of it, started, ended, and of a finished one
# its result, of a failed one the same and the number of the argument that is its traceback.
# Returns the ids of ended jobs whose entry lacks what only `data` tells.
END = Script(
    _COMMON
    + """
local ids, executions, running, entries, gone = {}, {}, {}, {}, {}
local done = {finished = {}, failed = {}}
local lacking = {}
for number, job in ipairs(head.ended) do
  executions[number] = job[1] .. ':' .. job[3]
  entries[number] = EXECUTION .. executions[number]
  add(running, job[2], executions[number])
  local seen = redis.call('HMGET', ENTRY .. job[1], 'claim', 'data')
  if (tonumber(seen[1]) or 0) > job[3] then
    -- It was pushed again before we could say this, and perhaps claimed: that is to be seen.
    job[4] = 'queued'
  else
    ids[#ids + 1] = job[1]
    if full or job[4] == 'gone' then gone[#gone + 1] = ENTRY .. job[1] end
  end
  if done[job[4]] then
    add(done[job[4]], job[2], head[job[4]], job[1])
    if not seen[2] then lacking[#lacking + 1] = job[1] end
  end
end
if #ids > 0 then redis.call('HDEL', CLAIMS, unpack(ids)) end
each('ZREM', STARTED, running)
redis.call('SREM', EXECUTIONS, unpack(executions))
redis.call('DEL', unpack(entries))
if #gone > 0 then redis.call('DEL', unpack(gone)) end
-- It would stay full if what has ended stayed in it.
if full then return full end
for _, job in ipairs(head.ended) do
  local until_ = head[job[4]]
  if done[job[4]] then
    local entry, results = ENTRY .. job[1], RESULTS .. job[1]
    redis.call('HSET', entry, 'status', job[4], 'ended_at', job[6], 'worker_name', head.worker,
      'claim', job[3])
    if job[5] ~= '' then redis.call('HSET', entry, 'started_at', job[5]) end
    if job[4] == 'finished' then
      redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', 1, 'return_value', job[7],
        'worker_name', head.worker)
    else
      redis.call('HSET', entry, 'exc_info', ARGV[job[8]])
      redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', 2, 'exc_string', job[7],
        'worker_name', head.worker)
    end
    redis.call('EXPIREAT', entry, until_)
    redis.call('EXPIREAT', results, until_)
  end
end
each('ZADD', FINISHED, done.finished)
each('ZADD', FAILED, done.failed)
for queue, _ in pairs(running) do
  -- Their entries expire by themselves; here they stay until somebody opens rq's pages, or now.
  redis.call('ZREMRANGEBYSCORE', FINISHED .. queue, 0, head.seconds)
  redis.call('ZREMRANGEBYSCORE', FAILED .. queue, 0, head.seconds)
end
-- Last: whatever was refused above is done again, and a job must not be counted twice.
if head.good > 0 then redis.call('HINCRBY', WORKER, 'successful_job_count', head.good) end
if head.bad > 0 then redis.call('HINCRBY', WORKER, 'failed_job_count', head.bad) end
redis.call('HINCRBYFLOAT', WORKER, 'total_working_time', head.worked)
return lacking
"""
)
