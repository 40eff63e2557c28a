-- Leave a member in Redis, for whichever node its client comes to.
-- KEYS[1]: the room, KEYS[2..]: its resume tokens.
-- ARGV: as in node.lua; member id, what is left, how long it is good, room's life time, in ms.
-- Answers {'ok'} or {'none'}: it had no seat on that node.
if not standing() then return {'none'} end
local id = ARGV[6]
local polite, seat = seat_of(id)
if not polite then return {'none'} end
if seat.node ~= node then
  -- Asked again because the answer was lost; by now another node may have it.
  return redis.call('HGET', KEYS[2], 'left') == ARGV[7] and {'ok'} or {'none'}
end
seat.node, seat.term = '', ''
redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
redis.call('SET', prefix .. 'parked:' .. id, '1', 'PX', ARGV[8])
for n = 2, #KEYS do
  redis.call('DEL', KEYS[n])
  redis.call('HSET', KEYS[n], 'id', id, 'left', ARGV[7])
  redis.call('PEXPIRE', KEYS[n], ARGV[8])
end
return {'ok'}
