-- Leave a seat in Redis, for the node to which the member's client reconnects.
-- KEYS: the room, then the keys of the member's resume tokens.
-- Answers {'ok'}, or {'none'} if the calling node does not have the seat.
local id, snapshot, handed_off_ms, room_ms = ARGV[6], ARGV[7], ARGV[8], ARGV[9]

if not in_good_standing() then return {'none'} end
local polite, seat = seat_of(id)
if not polite then return {'none'} end
if seat.node ~= node then
  -- Asked again because the answer was lost. By now another node may have the seat.
  return redis.call('HGET', KEYS[2], 'snapshot') == snapshot and {'ok'} or {'none'}
end
seat.node, seat.term = '', ''
put_seat(polite, seat)
keep_room_for(room_ms)
redis.call('SET', handed_off_key(id), '1', 'PX', handed_off_ms)
for n = 2, #KEYS do
  redis.call('DEL', KEYS[n])
  redis.call('HSET', KEYS[n], 'id', id, 'snapshot', snapshot)
  redis.call('PEXPIRE', KEYS[n], handed_off_ms)
end
return {'ok'}
