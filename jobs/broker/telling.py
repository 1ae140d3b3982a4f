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
local call, worker = redis.call, head.worker
local ids, gone, lacking = {}, {}, {}
local is_shown, running, executions, entries = {}, {}, {}, {}
local done = {finished = {}, failed = {}}
for _, job in ipairs(head.ended) do
  local id, queue, claim, kind = job[1], job[2], job[3], job[4]
  -- Of most attempts only the end is told: then nothing of them is to be taken away.
  if is_shown[queue] == nil then is_shown[queue] = call('EXISTS', STARTED .. queue) == 1 end
  if is_shown[queue] then
    local execution = id .. ':' .. claim
    add(running, queue, execution)
    executions[#executions + 1] = execution
    entries[#entries + 1] = EXECUTION .. execution
  end
  local entry, until_ = ENTRY .. id, head[kind]
  local seen = call('HMGET', entry, 'claim', 'data')
  -- Else it was pushed again before we could say this, and perhaps claimed: that is to be seen.
  if (tonumber(seen[1]) or 0) <= claim then
    ids[#ids + 1] = id
    if full or kind == 'gone' then
      gone[#gone + 1] = entry
    elseif until_ then
      local results = RESULTS .. id
      local fields = {'status', kind, 'ended_at', job[6], 'worker_name', worker, 'claim', claim}
      if job[5] ~= '' then
        fields[9], fields[10] = 'started_at', job[5]
      end
      call('HSET', entry, unpack(fields))
      -- An attempt leaves one result at most.
      if claim > 10 then call('XTRIM', results, 'MAXLEN', 9) end
      if kind == 'finished' then
        call('XADD', results, '*', 'type', '1', 'return_value', job[7], 'worker_name', worker)
      else
        call('HSET', entry, 'exc_info', ARGV[job[8]])
        call('XADD', results, '*', 'type', '2', 'exc_string', job[7], 'worker_name', worker)
      end
      call('EXPIREAT', entry, until_)
      call('EXPIREAT', results, until_)
      add(done[kind], queue, until_, id)
      if not seen[2] then lacking[#lacking + 1] = id end
    end
  end
end
if #ids > 0 then call('HDEL', CLAIMS, unpack(ids)) end
if #executions > 0 then
  each('ZREM', STARTED, running)
  call('SREM', EXECUTIONS, unpack(executions))
  call('DEL', unpack(entries))
end
if #gone > 0 then call('DEL', unpack(gone)) end
-- It would stay full if what has ended stayed in it.
if full then return full end
each('ZADD', FINISHED, done.finished)
each('ZADD', FAILED, done.failed)
for queue, _ in pairs(is_shown) do
  -- Their entries expire by themselves; here they stay until somebody opens rq's pages, or now.
  call('ZREMRANGEBYSCORE', FINISHED .. queue, 0, head.seconds)
  call('ZREMRANGEBYSCORE', FAILED .. queue, 0, head.seconds)
end
-- Last: whatever was refused above is done again, and a job must not be counted twice.
if head.good > 0 then call('HINCRBY', WORKER, 'successful_job_count', head.good) end
if head.bad > 0 then call('HINCRBY', WORKER, 'failed_job_count', head.bad) end
call('HINCRBYFLOAT', WORKER, 'total_working_time', head.worked)
return lacking
"""
)
