-- Find the node of a peer. Free the peer's seat if its node is gone.
-- KEYS: the room.
-- Answers
--   {'there', node}    it sits on that node
--   {'missing', node}  the same, and that node has no lease at the moment
--   {'handed off'}     its seat waits in Redis
--   {'replaced'}       its user took the seat with another session; that session's node
--                      will say so
--   {'forgotten'}      Redis has lost the room
--   {'absent'}         it has no seat, and its node may be about to say why
--   {'gone'}           it has no seat any more
--   {'again'}
local id, absent_too_long = ARGV[6], ARGV[7] == '1'

if not in_good_standing() then return {'again'} end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'forgotten'} end
local polite, seat = seat_of(id)
if polite then
  if live(seat) then
    if seat.node == '' then return {'handed off'} end
    local leased = redis.call('EXISTS', lease_key(seat.node)) == 1
    return {leased and 'there' or 'missing', seat.node}
  end
  redis.call('HDEL', KEYS[1], polite)
  next_epoch()
end
for _, polite in ipairs({'0', '1'}) do
  local left = seat_at(polite)
  local evicted = left and left.evicted or ''
  if evicted ~= '' and cjson.decode(evicted).id == id and live(left) then return {'replaced'} end
end
if not polite and not absent_too_long then return {'absent'} end
for _, polite in ipairs({'0', '1'}) do
  local left = seat_at(polite)
  if left and left.peer == id then
    -- This member is told that its peer is gone, so it no longer waits for that peer:
    -- see assert_seat.lua.
    left.peer = ''
    put_seat(polite, left)
  end
end
return {'gone'}
