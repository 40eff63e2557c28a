-- Keep a room from expiring, and check that members of the calling node still have
-- their seats in it.
-- KEYS: the room.
-- Answers {'ok', the ids of those who have none...} or {'again'}.
local room_ms, first_id = ARGV[6], 7

if not in_good_standing() then return {'again'} end
local answer = {'ok'}
for n = first_id, #ARGV do
  if not seat_of(ARGV[n]) then answer[#answer + 1] = ARGV[n] end
end
keep_room_for(room_ms)
return answer
