-- Return milliseconds since 1970 by the server's own clock, the only one that all replicas share.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return what stays the same for as long as nothing that this server knows can have been lost: its process, and the
-- history of writes that it continues, which is a new one after it took over from another. Empty where it is secret.
local function server_identity()
  local process, history = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  if type(process) ~= 'string' or type(history) ~= 'string' then return '' end
  local run, line = string.match(process, 'run_id:(%w+)'), string.match(history, 'master_replid:(%w+)')
  return run and line and run .. ' ' .. line or ''
end
