-- An entry counts while it bears the token of its video; a change of the video sets a new token. Tokens are ids that
-- callers make, so that a Redis which lost its data never has one again that it had before.
-- KEYS: entry, token, lease.

local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
