-- Assert that a member still sits where it sat, after Redis has forgotten or failed
-- over, or after the node's lease ran out.
-- KEYS: the room, its seal.
-- Answers {'ok'}; {'replaced'} if its user has taken the seat with another session;
-- {'out of sync'} if others sit there now, or if nobody does and the room may have been
-- created in another Redis; or {'again'}.
local member, polite, epoch = cjson.decode(ARGV[6]), ARGV[7], ARGV[8]
local peer_id, room_ms = ARGV[9], ARGV[10]
local seal_key = KEYS[2]

if not in_good_standing() then return {'again'} end
local seat, peer = seat_at(polite), seat_at(other(polite))
for _, there in ipairs({seat or false, peer or false}) do
  if there and there.id ~= member.id and there.user == member.user and live(there) then
    return {'replaced'}
  end
end
if not seat and not peer and redis.call('EXISTS', seal_key) == 1 then return {'out of sync'} end
if seat and seat.id ~= member.id and live(seat) then return {'out of sync'} end
if peer and peer.id ~= peer_id then
  -- The asserted member has not heard of this peer, and will not, unless the peer
  -- knows of the member.
  if not live(peer) then
    redis.call('HDEL', KEYS[1], other(polite))
  elseif peer.peer ~= member.id then
    return {'out of sync'}
  end
end
member.node, member.term, member.peer = node, term, peer_id
put_seat(polite, member)
if tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') < tonumber(epoch) then
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
keep_room_for(room_ms)
redis.call('DEL', handed_off_key(member.id))
return {'ok'}
