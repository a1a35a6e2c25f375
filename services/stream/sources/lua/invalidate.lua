-- ARGV: a new token, its life in ms. The result of a fetch under way is not stored, and no replica waits for it.
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1], KEYS[3])
