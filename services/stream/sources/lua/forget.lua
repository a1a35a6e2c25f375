-- ARGV: a new token, its life in ms. Who fetches now does so in vain, and nobody waits for it.
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1], KEYS[3])
