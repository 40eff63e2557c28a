-- Say that a member still sits where it sat, after Redis has forgotten or failed
-- over, or the node's lease ran out.
-- KEYS[1]: the room. ARGV: as in node.lua; member (JSON), polite ('0'/'1'), epoch,
-- id of its peer or '', room's life time in ms.
-- Answers {'ok'}, {'replaced'}: its user has taken the seat with another session,
-- {'lost'}: others sit there now, or {'again'}.
if not standing() then return {'again'} end
local member, polite = cjson.decode(ARGV[6]), ARGV[7]
local seat, peer = seat_at(polite), seat_at(other(polite))
for _, there in ipairs({seat or false, peer or false}) do
  if there and there.id ~= member.id and there.user == member.user and live(there) then
    return {'replaced'}
  end
end
if seat and seat.id ~= member.id and live(seat) then return {'lost'} end
if peer and peer.id ~= ARGV[9] then
  -- One that this member has not heard of, and will not unless it knows of this one.
  if not live(peer) then
    redis.call('HDEL', KEYS[1], other(polite))
  elseif peer.peer ~= member.id then
    return {'lost'}
  end
end
local existed = redis.call('EXISTS', KEYS[1]) == 1
member.node, member.term, member.peer = node, term, ARGV[9]
redis.call('HSET', KEYS[1], polite, cjson.encode(member))
if tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') < tonumber(ARGV[8]) then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[8])
end
-- GT takes a key without a lifetime for one that lives longer.
if existed then
  redis.call('PEXPIRE', KEYS[1], ARGV[10], 'GT')
else
  redis.call('PEXPIRE', KEYS[1], ARGV[10])
end
redis.call('DEL', prefix .. 'parked:' .. member.id)
return {'ok'}
