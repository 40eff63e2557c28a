-- Say whether a member's seat is held.
-- KEYS[1]: the room. ARGV: as in node.lua; member id, held (1/0), room's life time in ms.
-- Answers {'ok'}, {'none'}: it has no seat on that node, or {'again'}.
if not standing() then return {'again'} end
local polite, seat = seat_of(ARGV[6])
if not polite or seat.node ~= node then return {'none'} end
seat.held = ARGV[7] == '1'
redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
redis.call('PEXPIRE', KEYS[1], ARGV[8])
return {'ok'}
