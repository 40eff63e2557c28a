-- Whose seat a user's is.
-- KEYS[1]: the room. ARGV: as in node.lua; member id or '', its user, room's life time in ms.
-- Answers {'ok'}: that member's, on this node, {'other'}: another session's,
-- {'none'}: the user has none there, or {'again'}.
if not standing() then return {'again'} end
local polite, seat = seat_of(ARGV[6])
if polite and seat.node == node then
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  return {'ok'}
end
for _, polite in ipairs({'0', '1'}) do
  local seat = seat_at(polite)
  if seat and seat.id ~= ARGV[6] and seat.user == ARGV[7] and live(seat) then return {'other'} end
end
return {'none'}
