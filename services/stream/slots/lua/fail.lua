-- Record an error once for each code. Arguments: session, code, message.
local id, code, message = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2]

advance()

if exists(id) then
  local state = load(id)
  state.errors = state.errors or {}
  if not state.errors[code] then
    state.errors[code] = true
    save(id, state)
    emit('stream.error', id, now, TRACE, 'code', code, 'message', message)
  end
end
return redis.status_reply('OK')
