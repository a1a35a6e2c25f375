-- Ask for a slot; the user's and the platform's limits are enforced here. Arguments: session, user, client (video and
-- device of an implicit one, or empty), device of an implicit one or empty, request as JSON, whether it may wait, the
-- session that it replaces.
local id, user, client, device, request = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], ARGV[FIRST + 3], ARGV[FIRST + 4]
local may_wait, old = ARGV[FIRST + 5] == '1', ARGV[FIRST + 6]

-- Return the session of a user that gives way to the next video of its device: no replica is busy with it.
local function find_finished(ids)
  local found, found_state
  for _, each in ipairs(ids) do
    local state = load(each)
    if state.device == device and next(state.busy) == nil
      and (not found or state.seen < found_state.seen or (state.seen == found_state.seen and each < found)) then
      found, found_state = each, state
    end
  end
  return found, found_state
end

advance()

local ids = ids_of_user(user)
local existing = exists(id) and id
for _, each in ipairs(client ~= '' and not existing and ids or {}) do
  if load(each).client == client then
    existing = each
    break
  end
end
if existing then
  local state = load(existing)
  touch(existing, state, now)
  mark_busy(state, false)
  save(existing, state)
  return status_of(existing)
end
if redis.call('ZSCORE', ENDED, id) then return {'unavailable', GAP / 2} end
if grace > now then return {'unavailable', grace - now} end

local old_state = old ~= '' and exists(old) and load(old)
if old_state and old_state.user ~= user then old_state = nil end
if not old_state and device ~= '' and (#ids >= PER_USER or count_playing() >= PLATFORM) then
  old, old_state = find_finished(ids)
end
if #ids - (old_state and 1 or 0) >= PER_USER then return {'limit_reached', 'user', PER_USER, session_rows(ids)} end

local old_rank = old_state and is_queued(old)
local has_room = count_playing() < PLATFORM or (old_state and not old_rank)
if not has_room then
  local waiting = redis.call('ZCARD', QUEUE) - (old_rank and 1 or 0)
  if not may_wait or waiting >= QUEUE_LIMIT then return {'limit_reached', 'server', PLATFORM, session_rows(ids)} end
end
local rank = old_rank or next_rank()
if old_state then end_session(old, old_state, 'replaced', now, TRACE) end

local state = {replica = REPLICA, started = now, seen = now, bytes = {}, busy = {[REPLICA] = true}}
add_session(id, user, client, device, request, state)
if has_room then
  grant(id, state, TRACE)
else
  redis.call('ZADD', LEASES, now + IDLE, id)
  redis.call('ZADD', QUEUE, rank, id)
end
return status_of(id)
