-- Take a seat that another node handed off. Only one claim gets it.
-- KEYS: the room, the key of the resume token.
-- A claim takes two steps. The first names no member and answers which member waits
-- here. The second names that member, after the node has made ready to hear for it.
-- Answers {'ok', term, snapshot, peer or ''}; {'left', member id} if a member waits
-- here that the claim does not name; {'nodes', ...} with the nodes on which the user
-- has a seat in this room; or {'again'}.
local claim, user, room_ms, expected_id = ARGV[6], ARGV[7], ARGV[8], ARGV[9]

if not in_good_standing() then return {'again'} end
local token = redis.call('HMGET', KEYS[2], 'id', 'snapshot', 'claim')
local id, snapshot, claimed_by = token[1], token[2], token[3]
local polite, seat = seat_of(id)
if polite and (claimed_by == claim or is_handed_off(seat)) then
  if id ~= expected_id then return {'left', id} end
  redis.call('DEL', handed_off_key(id))
  -- The snapshot stays for its time, in case this answer is lost.
  redis.call('HSET', KEYS[2], 'claim', claim)
  seat.node, seat.term = node, term
  put_seat(polite, seat)
  keep_room_for(room_ms)
  return {'ok', term, snapshot, text(seat_at(other(polite)))}
end
local nodes = {'nodes'}
for _, polite in ipairs({'0', '1'}) do
  local seat = seat_at(polite)
  if seat and seat.user == user and seat.node ~= '' and seat.node ~= node and live(seat) then
    nodes[#nodes + 1] = seat.node
  end
end
return nodes
