-- Put a member back where it sat, after Redis has forgotten or failed over.
-- KEYS[1]: the room. ARGV: node, member id, member (JSON), polite ('0'/'1'), epoch,
-- may be put back (1/0), room's life time in ms.
-- Answers {'ok', peer or ''} or {'lost'}.
local text = redis.call('HGET', KEYS[1], ARGV[4])
if text then
  local seat = cjson.decode(text)
  if seat.id ~= ARGV[2] or seat.node ~= ARGV[1] then
    return {'lost'}
  end
else
  if ARGV[6] ~= '1' then
    return {'lost'}
  end
  redis.call('HSET', KEYS[1], ARGV[4], ARGV[3])
  local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
  if epoch <= tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[1], 'epoch', tonumber(ARGV[5]) + 1)
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'ok', redis.call('HGET', KEYS[1], ARGV[4] == '0' and '1' or '0') or ''}
