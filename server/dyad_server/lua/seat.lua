-- Say how a member sits, where it sits already: held or not, and on which node.
-- KEYS[1]: the room. ARGV: member id, node it must be on, held (1/0), new node,
-- room's life time in ms.
-- Answers {epoch, polite, peer or ''}; epoch '0': it has no seat there.
for _, polite in ipairs({'0', '1'}) do
  local text = redis.call('HGET', KEYS[1], polite)
  if text then
    local seat = cjson.decode(text)
    if seat.id == ARGV[1] and (seat.node == ARGV[2] or seat.node == ARGV[4]) then
      seat.held = ARGV[3] == '1'
      local epoch = redis.call('HGET', KEYS[1], 'epoch')
      if seat.node ~= ARGV[4] then
        seat.node = ARGV[4]
        epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
      end
      redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
      redis.call('PEXPIRE', KEYS[1], ARGV[5])
      return {tostring(epoch), polite, redis.call('HGET', KEYS[1], polite == '0' and '1' or '0') or ''}
    end
  end
end
return {'0', '', ''}
