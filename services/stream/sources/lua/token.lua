-- An entry counts while it bears its video's token, which changes when the video does. Tokens are made of what askers
-- give, so that a Redis which lost its data never has one again that it had before.
-- KEYS: entry, token, lease.

local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
