-- See after a member; free its seat if its node is gone.
-- KEYS[1]: the room. ARGV: as in node.lua; member id, '1' where it has been
-- absent for too long.
-- Answers {'there', node}, {'missing', node}: that has no lease, {'parked'},
-- {'replaced'}: its user took the seat anew, and the node where that was will say
-- so, {'forgotten'}: Redis has lost the room, {'absent'}: it has no seat, and its
-- node may be about to say why, {'gone'} or {'again'}.
if not standing() then return {'again'} end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'forgotten'} end
local polite, seat = seat_of(ARGV[6])
if polite then
  if seat.node == '' and live(seat) then return {'parked'} end
  if live(seat) then
    local leased = redis.call('EXISTS', prefix .. 'node:' .. seat.node) == 1
    return {leased and 'there' or 'missing', seat.node}
  end
  redis.call('HDEL', KEYS[1], polite)
  next_epoch()
end
for _, polite in ipairs({'0', '1'}) do
  local left = seat_at(polite)
  local evicted = left and left.evicted or ''
  if evicted ~= '' and cjson.decode(evicted).id == ARGV[6] and live(left) then
    return {'replaced'}
  end
end
if not polite and ARGV[7] ~= '1' then return {'absent'} end
for _, polite in ipairs({'0', '1'}) do
  local left = seat_at(polite)
  if left and left.peer == ARGV[6] then
    -- Who is told that it has gone waits for it no longer: see assert.lua.
    left.peer = ''
    redis.call('HSET', KEYS[1], polite, cjson.encode(left))
  end
end
return {'gone'}
