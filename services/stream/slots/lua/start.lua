-- Asks for a slot. Arguments: session, user, client (video and device of an implicit one, or nothing), device of an
-- implicit one or nothing, facts, whether it may wait, the session whose place it takes.
local id, user, client, device, facts = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], ARGV[FIRST + 3], ARGV[FIRST + 4]
local may_wait, old = ARGV[FIRST + 5] == '1', ARGV[FIRST + 6]

-- The session of a user that gives way to the next video of its device: no replica is busy with it.
local function finished(ids)
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

local ids = own(user)
local known = is_there(id) and id
for _, each in ipairs(client ~= '' and not known and ids or {}) do
  if load(each).client == client then
    known = each
    break
  end
end
if known then
  local state = load(known)
  touch(known, state, now)
  mark(state, false)
  save(known, state)
  return standing(known)
end
if redis.call('ZSCORE', ENDED, id) then return {'unavailable', GAP / 2} end
if grace > now then return {'unavailable', grace - now} end

local old_state = old ~= '' and is_there(old) and load(old)
if old_state and old_state.user ~= user then old_state = nil end
if not old_state and device ~= '' and (#ids >= PER_USER or playing() >= PLATFORM) then
  old, old_state = finished(ids)
end
if #ids - (old_state and 1 or 0) >= PER_USER then return {'refused', 'user', PER_USER, sessions(ids)} end

local old_place = old_state and waits(old)
local has_room = playing() < PLATFORM or (old_state and not old_place)
if not has_room then
  local waiting = redis.call('ZCARD', QUEUE) - (old_place and 1 or 0)
  if not may_wait or waiting >= QUEUE_LIMIT then return {'refused', 'server', PLATFORM, sessions(ids)} end
end
local place = old_place or next_place()
if old_state then finish(old, old_state, 'replaced', now, CAUSE) end

local state = {replica = REPLICA, started = now, seen = now, bytes = {}, busy = {[REPLICA] = true}}
enter(id, user, client, device, facts, state)
if has_room then
  grant(id, state, CAUSE)
else
  redis.call('ZADD', LEASES, now + IDLE, id)
  redis.call('ZADD', QUEUE, place, id)
end
return standing(id)
