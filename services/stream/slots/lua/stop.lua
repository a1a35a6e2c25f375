-- Ends a session. Arguments: session, reason, whose it must be or nothing, bytes of this replica or nothing, the
-- administrator who wants it and their address, or nothing.
local id, reason, user, bytes = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], tonumber(ARGV[FIRST + 3])

advance()

if not is_there(id) then return false end
local state = load(id)
if user ~= '' and user ~= state.user then return false end
if bytes then state.bytes[REPLICA] = math.max(state.bytes[REPLICA] or 0, bytes) end
local answer = session(id, state)
if ARGV[FIRST + 4] ~= '' then
  tell('admin.acted', id, now, CAUSE, 'admin', ARGV[FIRST + 4], 'address', ARGV[FIRST + 5])
end
finish(id, state, reason, now, CAUSE)
promote()
return answer
