-- Keep a room from expiring, and see that members of this node still have their seats.
-- KEYS[1]: the room. ARGV: as in node.lua; room's life time in ms, ids of the members.
-- Answers {'ok', the ids of those who have none…} or {'again'}.
if not standing() then return {'again'} end
local answer = {'ok'}
for n = 7, #ARGV do
  if not seat_of(ARGV[n]) then answer[#answer + 1] = ARGV[n] end
end
redis.call('PEXPIRE', KEYS[1], ARGV[6], 'GT')
return answer
