-- End a session. Arguments: session, reason, the user it must be of or empty, bytes of this replica or empty, the
-- administrator who stops it and their address, or empty.
local id, reason, user, bytes = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], tonumber(ARGV[FIRST + 3])

advance()

if not exists(id) then return false end
local state = load(id)
if user ~= '' and user ~= state.user then return false end
if bytes then state.bytes[REPLICA] = math.max(state.bytes[REPLICA] or 0, bytes) end
local row = session_row(id, state)
if ARGV[FIRST + 4] ~= '' then
  emit('admin.acted', id, now, TRACE, 'admin', ARGV[FIRST + 4], 'address', ARGV[FIRST + 5])
end
end_session(id, state, reason, now, TRACE)
promote()
return row
