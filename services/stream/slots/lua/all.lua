-- Sessions: a user's or, without one, everybody's. Argument: user or nothing.
advance()
if ARGV[FIRST] ~= '' then return sessions(own(ARGV[FIRST])) end
return sessions(redis.call('ZRANGE', LEASES, 0, -1))
