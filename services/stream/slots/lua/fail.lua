-- Records an error once for each code. Arguments: session, code, message.
local id, code, message = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2]

advance()

if is_there(id) then
  local state = load(id)
  state.errors = state.errors or {}
  if not state.errors[code] then
    state.errors[code] = true
    save(id, state)
    tell('stream.error', id, now, CAUSE, 'code', code, 'message', message)
  end
end
return redis.status_reply('OK')
