-- Take up a member that a node left here; once.
-- KEYS[1]: the room, KEYS[2]: the resume token.
-- ARGV: as in node.lua; a text that names this question, the user, room's life time in ms,
-- the member that the node expects, or ''.
-- Answers {'ok', term, what was left, peer or ''}, or {'left', member}: that one
-- is left here, and the node is to expect it first, or {'nodes', …} where the
-- user has seats, or {'again'}.
if not standing() then return {'again'} end
local token = redis.call('HMGET', KEYS[2], 'id', 'left', 'by')
local id, left, by = token[1], token[2], token[3]
local polite, seat = seat_of(id)
local parked = polite and prefix .. 'parked:' .. id
if polite and (by == ARGV[6] or redis.call('EXISTS', parked) == 1) then
  if id ~= ARGV[9] then return {'left', id} end
  redis.call('DEL', parked)
  -- Kept for its time, in case this answer is lost.
  redis.call('HSET', KEYS[2], 'by', ARGV[6])
  seat.node, seat.term = node, term
  redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
  redis.call('PEXPIRE', KEYS[1], ARGV[8])
  return {'ok', term, left, text(seat_at(other(polite)))}
end
local nodes = {'nodes'}
for _, polite in ipairs({'0', '1'}) do
  local seat = seat_at(polite)
  if seat and seat.user == ARGV[7] and seat.node ~= '' and seat.node ~= node and live(seat) then
    nodes[#nodes + 1] = seat.node
  end
end
return nodes
