-- Give a member a seat in a room. A user that already sits there takes its own seat,
-- whichever session has it at the moment.
-- KEYS: the room, its seal.
-- until_ms is a time of Redis. Later than that the node has told the member that it has no
-- seat, and the user may have entered with another session, which must keep it.
-- seal is 'put' where the room may be created in another Redis: if it is not here, it gets a
-- seal here. A create with 'heed' that finds a seal creates nothing, and is answered
-- {'not found'}. It keeps the seal for as long as its node needs to go to the other Redis.
-- A create that finds no room removes the seal. docs/redis.md says what seals are for.
-- Answers {'ok', term, polite, epoch, peer or '', evicted seat or ''} or one of
-- {'full'}, {'not found'}, {'replaced'}, {'again'}.
local member, create, room_ms = cjson.decode(ARGV[6]), ARGV[7] == '1', ARGV[8]
local until_ms, seal, seal_ms = tonumber(ARGV[9]), ARGV[10], ARGV[11]
local seal_key = KEYS[2]

if not in_good_standing() or milliseconds() >= until_ms then return {'again'} end

local seats = {}
for _, polite in ipairs({'0', '1'}) do
  local seat = seat_at(polite)
  if seat and live(seat) then
    seats[polite] = seat
  elseif seat then
    redis.call('HDEL', KEYS[1], polite)
  end
end

local mine, evicted
for _, polite in ipairs({'0', '1'}) do
  local seat = seats[polite]
  -- Asked again because the answer was lost.
  if seat and seat.id == member.id then
    local epoch = redis.call('HGET', KEYS[1], 'epoch')
    return {'ok', term, polite, epoch, text(seats[other(polite)]), seat.evicted or ''}
  end
  if seat and seat.user == member.user then
    -- Asked again too, but since then its user has taken the seat with another session.
    local before = seat.evicted or ''
    if before ~= '' and cjson.decode(before).id == member.id then return {'replaced'} end
    mine, evicted = polite, seat
  end
end

if not mine then
  if not seats['0'] and not seats['1'] then
    if seal == 'put' then redis.call('SET', seal_key, '1', 'PX', seal_ms) end
    local sealed = seal == 'heed' and redis.call('EXISTS', seal_key) == 1
    if sealed then redis.call('PEXPIRE', seal_key, seal_ms, 'GT') end
    if sealed or not create then
      redis.call('DEL', KEYS[1])
      return {'not found'}
    end
    redis.call('DEL', seal_key)
    mine = '0'
  elseif seats['0'] and seats['1'] then
    return {'full'}
  else
    mine = seats['0'] and '1' or '0'
  end
end

if evicted then
  evicted.evicted = nil
  redis.call('DEL', handed_off_key(evicted.id))
end
local peer, epoch = seats[other(mine)], next_epoch()
member.node, member.term, member.peer = node, term, peer and peer.id or ''
member.evicted, member.since = text(evicted), epoch
put_seat(mine, member)
if peer then
  -- The session that sat here before has no peer any more, whatever it asserts.
  peer.peer = member.id
  put_seat(other(mine), peer)
end
keep_room_for(room_ms)
return {'ok', term, mine, epoch, text(peer), text(evicted)}
