-- Whose seat a user's seat in a room is.
-- KEYS: the room.
-- Answers {'ok'} if that member has it, on the calling node; {'other'} if another
-- session of the user has it; {'none'} if the user has no seat there; or {'again'}.
local id, user, room_ms = ARGV[6], ARGV[7], ARGV[8]

if not in_good_standing() then return {'again'} end
local polite, seat = seat_of(id)
if polite and seat.node == node then
  keep_room_for(room_ms)
  return {'ok'}
end
for _, polite in ipairs({'0', '1'}) do
  local seat = seat_at(polite)
  if seat and seat.id ~= id and seat.user == user and live(seat) then return {'other'} end
end
return {'none'}
