-- Free the seat of a member; the room goes with the last one.
-- KEYS[1]: the room. ARGV: member id, node that it must be on or ''.
-- Answers {epoch, peer or ''}; epoch '0': it had no seat (there).
local left
for _, polite in ipairs({'0', '1'}) do
  local text = redis.call('HGET', KEYS[1], polite)
  if text then
    local seat = cjson.decode(text)
    if seat.id == ARGV[1] and (ARGV[2] == '' or seat.node == ARGV[2]) then
      left = polite
    end
  end
end
if not left then
  return {'0', ''}
end
redis.call('HDEL', KEYS[1], left)
local peer = redis.call('HGET', KEYS[1], left == '0' and '1' or '0')
if not peer then
  redis.call('DEL', KEYS[1])
  return {'1', ''}
end
return {tostring(redis.call('HINCRBY', KEYS[1], 'epoch', 1)), peer}
