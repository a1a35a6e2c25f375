-- The book of sessions, the first part of every script. All keys are of one hash slot.
local CLOCK = KEYS[1]    -- hash: now (the last call's), grace (until when nothing new is granted), relay, relay_until
local LEASES = KEYS[2]   -- sorted set: session -> when it ends unless it shows a sign of life; playing and waiting ones
local QUEUE = KEYS[3]    -- sorted set: session -> its place among those that wait
local FACTS = KEYS[4]    -- hash: session -> what was asked for; opaque here
local STATES = KEYS[5]   -- hash: session -> what changes, as JSON
local USERS = KEYS[6]    -- hash: user -> their sessions, separated by spaces
local ENDED = KEYS[7]    -- sorted set: ended session -> until when it is remembered
local REASONS = KEYS[8]  -- hash: ended session -> why it ended
local SETTLING = KEYS[9] -- sorted set: stopped session -> when that is told; until then replicas add their last bytes
local EVENTS = KEYS[10]  -- stream: what the relay has yet to publish

local IDLE, GAP, TOMBSTONE = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local PLATFORM, PER_USER, QUEUE_LIMIT = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local REPLICA = ARGV[7]
local CAUSE = {ARGV[8], ARGV[9]} -- trace context and request id of whoever calls
local NOBODY = {'', ''}
local FIRST = 10 -- the first argument that is the script's own

local now, grace

local function load(id)
  local text = redis.call('HGET', STATES, id)
  return text and cjson.decode(text)
end

local function save(id, state)
  redis.call('HSET', STATES, id, cjson.encode(state))
end

local function is_there(id)
  return redis.call('ZSCORE', LEASES, id)
end

local function waits(id)
  return redis.call('ZSCORE', QUEUE, id)
end

local function playing()
  return redis.call('ZCARD', LEASES) - redis.call('ZCARD', QUEUE)
end

local function own(user)
  local ids = {}
  for id in string.gmatch(redis.call('HGET', USERS, user) or '', '%S+') do
    ids[#ids + 1] = id
  end
  return ids
end

local function playing_of(user)
  local count = 0
  for _, id in ipairs(own(user)) do
    if not waits(id) then count = count + 1 end
  end
  return count
end

local function bytes_of(state)
  local sum = 0
  for _, bytes in pairs(state.bytes) do sum = sum + bytes end
  return sum
end

-- What is told

local function tell(kind, id, at, cause, ...)
  redis.call('XADD', EVENTS, '*', 'type', kind, 'facts', redis.call('HGET', FACTS, id), 'at', at,
    'traceparent', cause[1], 'request_id', cause[2], ...)
end

local function tell_started(id, state, cause)
  tell('stream.started', id, state.started, cause)
end

local function tell_stopped(id, state)
  tell('stream.stopped', id, state.ended, state.cause, 'started', state.started, 'bytes', bytes_of(state),
    'reason', redis.call('HGET', REASONS, id))
  redis.call('HDEL', STATES, id)
  redis.call('HDEL', FACTS, id)
end

-- Places

-- Takes note of whether this replica is done with a session. Of one that an older release began nothing is known.
local function mark(state, is_finished)
  if not state.device then return end
  state.busy[REPLICA] = not is_finished or nil
end

local function enter(id, user, client, device, facts, state)
  local ids = own(user)
  ids[#ids + 1] = id
  redis.call('HSET', USERS, user, table.concat(ids, ' '))
  redis.call('HSET', FACTS, id, facts)
  state.user, state.client, state.device, state.busy = user, client, device, state.busy or {}
  save(id, state)
end

local function touch(id, state, seen)
  state.seen = math.max(state.seen, seen)
  if redis.call('ZSCORE', LEASES, id) + 0 < seen + IDLE then
    redis.call('ZADD', LEASES, seen + IDLE, id)
  end
end

local function grant(id, state, cause)
  redis.call('ZREM', QUEUE, id)
  redis.call('ZADD', LEASES, now + IDLE, id)
  state.started, state.seen = now, now
  save(id, state)
  tell_started(id, state, cause)
end

local function next_place()
  local last = redis.call('ZREVRANGE', QUEUE, 0, 0, 'WITHSCORES')
  return math.max(now * 1000, (tonumber(last[2]) or 0) + 1)
end

-- Free slots go to the head of the queue; a user who plays as many as allowed is passed over.
local function promote()
  local free = PLATFORM - playing()
  if free <= 0 or grace > now then return end
  for _, id in ipairs(redis.call('ZRANGE', QUEUE, 0, -1)) do
    if free == 0 then return end
    local state = load(id)
    if playing_of(state.user) < PER_USER then
      grant(id, state, NOBODY)
      free = free - 1
    end
  end
end

local function bury(id, reason)
  redis.call('ZADD', ENDED, now + TOMBSTONE, id)
  redis.call('HSET', REASONS, id, reason)
end

-- Ends a session at a time. One that was stopped may still be sent by other replicas: they have until two ticks later
-- to tell their last bytes.
local function finish(id, state, reason, at, cause)
  local left = {}
  for _, each in ipairs(own(state.user)) do
    if each ~= id then left[#left + 1] = each end
  end
  if #left == 0 then
    redis.call('HDEL', USERS, state.user)
  else
    redis.call('HSET', USERS, state.user, table.concat(left, ' '))
  end
  bury(id, reason)
  redis.call('ZREM', LEASES, id)
  if redis.call('ZREM', QUEUE, id) == 1 then
    redis.call('HDEL', STATES, id)
    redis.call('HDEL', FACTS, id)
    return
  end
  state.ended, state.cause = at, cause
  if reason == 'expired' then
    tell_stopped(id, state)
  else
    save(id, state)
    redis.call('ZADD', SETTLING, now + GAP, id)
  end
end

-- Time

-- After a gap nobody knows who would have shown a sign of life meanwhile, nor what was lost.
local function begin_anew()
  grace = now + IDLE
  for _, id in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    redis.call('ZADD', LEASES, now + IDLE, id)
    local state = load(id)
    state.seen = math.min(state.seen, now)
    save(id, state)
  end
  for _, id in ipairs(redis.call('ZRANGE', ENDED, 0, -1)) do
    redis.call('ZADD', ENDED, now + TOMBSTONE, id)
  end
  for _, id in ipairs(redis.call('ZRANGE', SETTLING, 0, -1)) do
    redis.call('ZADD', SETTLING, now + GAP, id)
  end
end

-- Brings everything up to now: the first step of every operation.
local function advance()
  now = server_time()
  local clock = redis.call('HMGET', CLOCK, 'now', 'grace')
  local last = tonumber(clock[1])
  grace = tonumber(clock[2]) or 0
  if not last or now < last or now - last > GAP then begin_anew() end
  redis.call('HSET', CLOCK, 'now', now, 'grace', grace)
  for _, id in ipairs(redis.call('ZRANGE', LEASES, '-inf', now, 'BYSCORE')) do
    local state = load(id)
    finish(id, state, 'expired', state.seen, NOBODY)
  end
  for _, id in ipairs(redis.call('ZRANGE', SETTLING, '-inf', now, 'BYSCORE')) do
    redis.call('ZREM', SETTLING, id)
    tell_stopped(id, load(id))
  end
  for _, id in ipairs(redis.call('ZRANGE', ENDED, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
    redis.call('ZREM', ENDED, id)
    redis.call('HDEL', REASONS, id)
  end
  promote()
end

-- Answers

local function session(id, state)
  local place = redis.call('ZRANK', QUEUE, id)
  return {redis.call('HGET', FACTS, id), place and place + 1 or 0, state.replica, state.started, state.seen,
    bytes_of(state)}
end

local function sessions(ids)
  local answer = {}
  for _, id in ipairs(ids) do answer[#answer + 1] = session(id, load(id)) end
  return answer
end

local function standing(id)
  if is_there(id) then return {'there', session(id, load(id))} end
  return {'gone', redis.call('HGET', REASONS, id) or 'unknown'}
end

