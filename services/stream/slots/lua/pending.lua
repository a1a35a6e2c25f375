-- Return the oldest events to the one replica that relays them. Arguments: how many, after which receipt or empty.
advance()
local relay = redis.call('HMGET', CLOCK, 'relay', 'relay_until')
if relay[1] and relay[1] ~= REPLICA and now < tonumber(relay[2]) and tonumber(relay[2]) <= now + GAP then return {} end
redis.call('HSET', CLOCK, 'relay', REPLICA, 'relay_until', now + GAP)
local after = ARGV[FIRST + 1]
return redis.call('XRANGE', EVENTS, after == '' and '-' or '(' .. after, '+', 'COUNT', ARGV[FIRST])
