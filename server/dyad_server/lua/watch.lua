-- See after a peer on another node; free its seat if that node is gone.
-- KEYS[1]: the room. ARGV: key prefix, peer's id.
-- Answers {'there', node}, {'parked'} or {'gone'}.
for _, polite in ipairs({'0', '1'}) do
  local text = redis.call('HGET', KEYS[1], polite)
  if text then
    local seat = cjson.decode(text)
    if seat.id == ARGV[2] then
      if redis.call('EXISTS', ARGV[1] .. 'node:' .. seat.node) == 1 then
        return {'there', seat.node}
      end
      if redis.call('EXISTS', ARGV[1] .. 'parked:' .. seat.id) == 1 then
        return {'parked'}
      end
      redis.call('HDEL', KEYS[1], polite)
      redis.call('HINCRBY', KEYS[1], 'epoch', 1)
      return {'gone'}
    end
  end
end
return {'gone'}
