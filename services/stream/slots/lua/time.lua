-- Return milliseconds since 1970 by the server's own clock, the only one that all replicas share.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
