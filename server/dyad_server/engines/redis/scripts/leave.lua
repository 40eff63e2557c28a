-- Free a member's seat. The room ends with its last member.
-- KEYS: the room.
-- Answers {'ok', its peer or '', the session of its user that had the seat before or '',
-- the room's epoch when it got the seat}; {'moved'} if another node has the seat now;
-- {'none'} if the member has no seat; or {'again'}.
local id = ARGV[6]

if not in_good_standing() then return {'again'} end
local polite, seat = seat_of(id)
if not polite then return {'none'} end
if seat.node ~= node then return {'moved'} end
redis.call('HDEL', KEYS[1], polite)
local peer = seat_at(other(polite))
if peer then next_epoch() else redis.call('DEL', KEYS[1]) end
return {'ok', text(peer), seat.evicted or '', seat.since or '0'}
