-- The sessions in Redis: the first part of every script. All keys are of one hash slot. Their names, and those of the
-- fields in them, are shared with other releases during a rolling update and must not change.
local CLOCK = KEYS[1]    -- hash: now (of the last call), grace (until when nothing new is granted), server, relay, relay_until
local LEASES = KEYS[2]   -- sorted set: session -> when it ends without another sign of life; playing and queued ones
local QUEUE = KEYS[3]    -- sorted set: queued session -> its rank
local REQUESTS = KEYS[4] -- hash: session -> its request as JSON; opaque here
local STATES = KEYS[5]   -- hash: session -> what changes, as JSON
local USERS = KEYS[6]    -- hash: user -> their sessions, separated by spaces
local ENDED = KEYS[7]    -- sorted set: ended session -> until when it is remembered
local REASONS = KEYS[8]  -- hash: ended session -> why it ended
local SETTLING = KEYS[9] -- sorted set: stopped session -> when its event is emitted; until then replicas add their last bytes
local EVENTS = KEYS[10]  -- stream: what the relay has yet to publish

local IDLE, GAP, TOMBSTONE = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local PLATFORM, PER_USER, QUEUE_LIMIT = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local REPLICA = ARGV[7]
local TRACE = {ARGV[8], ARGV[9]} -- trace context and request id of the caller
local NO_REQUEST = {'', ''}
local FIRST = 10 -- the first argument that is the script's own

local now, grace

local function load(id)
  local text = redis.call('HGET', STATES, id)
  return text and cjson.decode(text)
end

local function save(id, state)
  redis.call('HSET', STATES, id, cjson.encode(state))
end

local function exists(id)
  return redis.call('ZSCORE', LEASES, id)
end

local function is_queued(id)
  return redis.call('ZSCORE', QUEUE, id)
end

local function count_playing()
  return redis.call('ZCARD', LEASES) - redis.call('ZCARD', QUEUE)
end

local function ids_of_user(user)
  local ids = {}
  for id in string.gmatch(redis.call('HGET', USERS, user) or '', '%S+') do
    ids[#ids + 1] = id
  end
  return ids
end

local function count_playing_of(user)
  local count = 0
  for _, id in ipairs(ids_of_user(user)) do
    if not is_queued(id) then count = count + 1 end
  end
  return count
end

local function bytes_of(state)
  local sum = 0
  for _, bytes in pairs(state.bytes) do sum = sum + bytes end
  return sum
end

-- Events

local function emit(kind, id, at, trace, ...)
  redis.call('XADD', EVENTS, '*', 'type', kind, 'facts', redis.call('HGET', REQUESTS, id), 'at', at,
    'traceparent', trace[1], 'request_id', trace[2], ...)
end

local function emit_started(id, state, trace)
  emit('stream.started', id, state.started, trace)
end

local function emit_stopped(id, state)
  emit('stream.stopped', id, state.ended, state.cause, 'started', state.started, 'bytes', bytes_of(state),
    'reason', redis.call('HGET', REASONS, id))
  redis.call('HDEL', STATES, id)
  redis.call('HDEL', REQUESTS, id)
end

-- Slots and the queue

-- Record whether this replica is done with a session. Sessions that an older release began have no such record.
local function mark_busy(state, is_finished)
  if not state.device then return end
  state.busy[REPLICA] = not is_finished or nil
end

local function add_session(id, user, client, device, request, state)
  local ids = ids_of_user(user)
  ids[#ids + 1] = id
  redis.call('HSET', USERS, user, table.concat(ids, ' '))
  redis.call('HSET', REQUESTS, id, request)
  state.user, state.client, state.device, state.busy = user, client, device, state.busy or {}
  save(id, state)
end

local function touch(id, state, seen)
  state.seen = math.max(state.seen, seen)
  if redis.call('ZSCORE', LEASES, id) + 0 < seen + IDLE then
    redis.call('ZADD', LEASES, seen + IDLE, id)
  end
end

local function grant(id, state, trace)
  redis.call('ZREM', QUEUE, id)
  redis.call('ZADD', LEASES, now + IDLE, id)
  state.started, state.seen = now, now
  save(id, state)
  emit_started(id, state, trace)
end

local function next_rank()
  local last = redis.call('ZREVRANGE', QUEUE, 0, 0, 'WITHSCORES')
  return math.max(now * 1000, (tonumber(last[2]) or 0) + 1)
end

-- Give free slots to the head of the queue; a user who plays as many as allowed is passed over.
local function promote()
  local free = PLATFORM - count_playing()
  if free <= 0 or grace > now then return end
  for _, id in ipairs(redis.call('ZRANGE', QUEUE, 0, -1)) do
    if free == 0 then return end
    local state = load(id)
    if count_playing_of(state.user) < PER_USER then
      grant(id, state, NO_REQUEST)
      free = free - 1
    end
  end
end

local function remember_ended(id, reason)
  redis.call('ZADD', ENDED, now + TOMBSTONE, id)
  redis.call('HSET', REASONS, id, reason)
end

-- End a session at a time. One that was stopped may still be sent by other replicas: they have two ticks to report their
-- last bytes.
local function end_session(id, state, reason, at, trace)
  local left = {}
  for _, each in ipairs(ids_of_user(state.user)) do
    if each ~= id then left[#left + 1] = each end
  end
  if #left == 0 then
    redis.call('HDEL', USERS, state.user)
  else
    redis.call('HSET', USERS, state.user, table.concat(left, ' '))
  end
  remember_ended(id, reason)
  redis.call('ZREM', LEASES, id)
  if redis.call('ZREM', QUEUE, id) == 1 then
    redis.call('HDEL', STATES, id)
    redis.call('HDEL', REQUESTS, id)
    return
  end
  state.ended, state.cause = at, trace
  if reason == 'expired' then
    emit_stopped(id, state)
  else
    save(id, state)
    redis.call('ZADD', SETTLING, now + GAP, id)
  end
end

-- Time

-- Give every session a new lease: after a gap it is unknown which would have shown a sign of life meanwhile.
local function restart_leases()
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

-- Bring everything up to now: the first step of every operation.
local function advance()
  now = server_time()
  local clock = redis.call('HMGET', CLOCK, 'now', 'grace', 'server')
  local last, server = tonumber(clock[1]), clock[3]
  grace = tonumber(clock[2]) or 0
  local is_gap = not last or now < last or now - last > GAP
  -- Once in a while is enough: what it costs must not be part of each operation.
  if is_gap or math.floor(now / GAP) ~= math.floor(last / GAP) then server = server_identity() end
  if is_gap then
    -- The same server all the while: no replica called, and none can have been granted anything that is not known here.
    -- Otherwise newcomers are refused for as long as replicas need to report what they serve. They did not have that
    -- time if such a wait was under way.
    local is_complete = last and server ~= '' and server == clock[3] and grace <= last
    grace = is_complete and 0 or now + IDLE
    restart_leases()
  end
  redis.call('HSET', CLOCK, 'now', now, 'grace', grace, 'server', server or '')
  for _, id in ipairs(redis.call('ZRANGE', LEASES, '-inf', now, 'BYSCORE')) do
    local state = load(id)
    end_session(id, state, 'expired', state.seen, NO_REQUEST)
  end
  for _, id in ipairs(redis.call('ZRANGE', SETTLING, '-inf', now, 'BYSCORE')) do
    redis.call('ZREM', SETTLING, id)
    emit_stopped(id, load(id))
  end
  for _, id in ipairs(redis.call('ZRANGE', ENDED, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
    redis.call('ZREM', ENDED, id)
    redis.call('HDEL', REASONS, id)
  end
  promote()
end

-- Replies

local function session_row(id, state)
  local rank = redis.call('ZRANK', QUEUE, id)
  return {redis.call('HGET', REQUESTS, id), rank and rank + 1 or 0, state.replica, state.started, state.seen,
    bytes_of(state)}
end

local function session_rows(ids)
  local rows = {}
  for _, id in ipairs(ids) do rows[#rows + 1] = session_row(id, load(id)) end
  return rows
end

local function status_of(id)
  if exists(id) then return {'live', session_row(id, load(id))} end
  return {'ended', redis.call('HGET', REASONS, id) or 'unknown'}
end

