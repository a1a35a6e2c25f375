-- ARGV: id of this look-up, lease in ms, life of a token in ms, the time before which stored facts don't count.
-- Returns {"known", facts, ms left}, {"fetch", token, now} to the caller that shall fetch, or {"wait"}.
local token = redis.call('GET', KEYS[2])
if token then
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
else
  token = ARGV[1]
  redis.call('SET', KEYS[2], token, 'PX', ARGV[3])
end
local entry = redis.call('HMGET', KEYS[1], 'token', 'at', 'facts')
if entry[1] == token and tonumber(entry[2]) >= tonumber(ARGV[4]) then
  return {'known', entry[3], redis.call('PTTL', KEYS[1])}
end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return {'fetch', token, server_time()}
end
return {'wait'}
