-- Free the seat of a member; the room goes with the last one.
-- KEYS[1]: the room. ARGV: as in node.lua; member id.
-- Answers {'ok', peer or ''}, {'moved'}: it sits there, but on that node no
-- longer, or {'none'}: it has no seat.
local polite, seat = seat_of(ARGV[6])
if not polite then return {'none'} end
if seat.node ~= node then return {'moved'} end
redis.call('HDEL', KEYS[1], polite)
local peer = seat_at(other(polite))
if not peer then
  redis.call('DEL', KEYS[1])
  return {'ok', ''}
end
next_epoch()
return {'ok', text(peer)}
