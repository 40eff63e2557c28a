-- See after a member; free its seat if its node is gone.
-- KEYS[1]: the room. ARGV: as in node.lua; member id.
-- Answers {'there', node}, {'parked'}, {'replaced'}: its user took the seat anew,
-- and the node where that was will say so, {'gone'} or {'again'}.
if not standing() then return {'again'} end
local polite, seat = seat_of(ARGV[6])
if not polite then
  for _, polite in ipairs({'0', '1'}) do
    local taken = seat_at(polite)
    local evicted = taken and taken.evicted or ''
    if evicted ~= '' and cjson.decode(evicted).id == ARGV[6] and live(taken) then
      return {'replaced'}
    end
  end
  return {'gone'}
end
if seat.node == '' and live(seat) then return {'parked'} end
if live(seat) then return {'there', seat.node} end
redis.call('HDEL', KEYS[1], polite)
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return {'gone'}
