-- ARGV: id of the look-up, the token and time that it was given, facts (empty: the fetch failed), life in ms.
if ARGV[4] ~= '' and redis.call('GET', KEYS[2]) == ARGV[2] then
  redis.call('HSET', KEYS[1], 'token', ARGV[2], 'at', ARGV[3], 'facts', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
if redis.call('GET', KEYS[3]) == ARGV[1] then
  redis.call('DEL', KEYS[3])
end
