-- Take up a participant that a node left here; once.
-- KEYS[1]: the room, KEYS[2]: the resume token.
-- ARGV: key prefix, new node, room's life time in ms.
-- Answers {what was left, epoch, peer or ''} or {} .
local id = redis.call('HGET', KEYS[2], 'id')
if not id or redis.call('DEL', ARGV[1] .. 'parked:' .. id) == 0 then
  return {}
end
local left = redis.call('HGET', KEYS[2], 'left')
redis.call('DEL', KEYS[2])
for _, polite in ipairs({'0', '1'}) do
  local text = redis.call('HGET', KEYS[1], polite)
  if text then
    local seat = cjson.decode(text)
    if seat.id == id then
      seat.node = ARGV[2]
      redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
      redis.call('PEXPIRE', KEYS[1], ARGV[3])
      local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
      return {left, tostring(epoch), redis.call('HGET', KEYS[1], polite == '0' and '1' or '0') or ''}
    end
  end
end
return {}
