-- Report signs of life and bytes of sessions. Arguments: how many stops are pending; for each: session, reason, and the
-- user it must be of or empty; then for each renewal: session, user, client, device, request as JSON, state, when it
-- started, milliseconds since its last sign of life, bytes of this replica, whether this replica is done with it.
local FIELDS = 10

-- Restore a session that Redis lost, if the limits that a new one meets allow it.
local function restore(id, user, client, device, request, was_queued, started, seen)
  if redis.call('ZSCORE', ENDED, id) or seen + IDLE <= now then return nil end
  if was_queued then
    if redis.call('ZCARD', QUEUE) >= QUEUE_LIMIT or #ids_of_user(user) >= PER_USER then return nil end
    redis.call('ZADD', QUEUE, started * 1000, id)
  elseif count_playing() >= PLATFORM or count_playing_of(user) >= PER_USER then
    return nil
  end
  redis.call('ZADD', LEASES, seen + IDLE, id)
  local state = {started = started, seen = seen, bytes = {}}
  add_session(id, user, client, device, request, state)
  if not was_queued then emit_started(id, state, NO_REQUEST) end
  return state
end

advance()

local first_renewal = FIRST + 1 + 3 * tonumber(ARGV[FIRST])
for at = FIRST + 1, first_renewal - 1, 3 do
  local id, reason, user = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local state = exists(id) and load(id)
  if state then
    if user == '' or user == state.user then end_session(id, state, reason, now, NO_REQUEST) end
  elseif user == '' and not redis.call('ZSCORE', ENDED, id) then
    remember_ended(id, reason) -- its start may still be on its way
  end
end

for at = first_renewal, #ARGV, FIELDS do
  local id, seen = ARGV[at], now - tonumber(ARGV[at + 7])
  local state
  if exists(id) then
    state = load(id)
  elseif redis.call('ZSCORE', SETTLING, id) then
    state = load(id)
    seen = nil
  else
    state = restore(id, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5] == 'queued',
      tonumber(ARGV[at + 6]), seen)
  end
  if state then
    local before = state.bytes[REPLICA] or 0
    state.bytes[REPLICA] = math.max(before, tonumber(ARGV[at + 8]))
    mark_busy(state, ARGV[at + 9] == '1')
    if seen then
      if seen >= state.seen then state.replica = REPLICA end
      touch(id, state, seen)
    end
    save(id, state)
  end
end
promote()

local statuses = {}
for at = first_renewal, #ARGV, FIELDS do
  statuses[#statuses + 1] = status_of(ARGV[at])
end
return statuses
