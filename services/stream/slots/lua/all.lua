-- Return the sessions of a user or, without one, all. Argument: user or empty.
advance()
if ARGV[FIRST] ~= '' then return session_rows(ids_of_user(ARGV[FIRST])) end
return session_rows(redis.call('ZRANGE', LEASES, 0, -1))
