-- Tells of sessions' life and bytes. Arguments: how many stops are owed, for each session, reason and whose it must be
-- or nothing; then for each renewal: session, user, client, device, facts, state, when it started, milliseconds of
-- silence, bytes of this replica, whether it is done with it.
local FIELDS = 10

-- A session that was forgotten is taken back as far as there is room; a new one would get no more.
local function take_back(id, user, client, device, facts, is_queued, started, seen)
  if redis.call('ZSCORE', ENDED, id) or seen + IDLE <= now then return nil end
  if is_queued then
    if redis.call('ZCARD', QUEUE) >= QUEUE_LIMIT or #own(user) >= PER_USER then return nil end
    redis.call('ZADD', QUEUE, started * 1000, id)
  elseif playing() >= PLATFORM or playing_of(user) >= PER_USER then
    return nil
  end
  redis.call('ZADD', LEASES, seen + IDLE, id)
  local state = {started = started, seen = seen, bytes = {}}
  enter(id, user, client, device, facts, state)
  if not is_queued then tell_started(id, state, NOBODY) end
  return state
end

advance()

local first_renewal = FIRST + 1 + 3 * tonumber(ARGV[FIRST])
for at = FIRST + 1, first_renewal - 1, 3 do
  local id, reason, user = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local state = is_there(id) and load(id)
  if state then
    if user == '' or user == state.user then finish(id, state, reason, now, NOBODY) end
  elseif user == '' and not redis.call('ZSCORE', ENDED, id) then
    bury(id, reason) -- its start may still be on its way
  end
end

for at = first_renewal, #ARGV, FIELDS do
  local id, seen = ARGV[at], now - tonumber(ARGV[at + 7])
  local state
  if is_there(id) then
    state = load(id)
  elseif redis.call('ZSCORE', SETTLING, id) then
    state = load(id)
    seen = nil
  else
    state = take_back(id, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5] == 'queued',
      tonumber(ARGV[at + 6]), seen)
  end
  if state then
    local before = state.bytes[REPLICA] or 0
    state.bytes[REPLICA] = math.max(before, tonumber(ARGV[at + 8]))
    mark(state, ARGV[at + 9] == '1')
    if seen then
      if seen >= state.seen then state.replica = REPLICA end
      touch(id, state, seen)
    end
    save(id, state)
  end
end
promote()

local answer = {}
for at = first_renewal, #ARGV, FIELDS do
  answer[#answer + 1] = standing(ARGV[at])
end
return answer
