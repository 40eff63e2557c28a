-- Renew a node's lease; make the generation if Redis has none: it is empty or new.
-- KEYS[1]: the node's lease, KEYS[2]: the generation, KEYS[3]: the node's inbox.
-- ARGV: lease in ms, a random text, life time of the others in ms,
-- lowest id of the inbox still needed.
-- Answers {generation, its age in ms}.
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
local generation = redis.call('GET', KEYS[2])
if not generation then
  generation = string.format('%d-%s', ms, ARGV[2])
  redis.call('SET', KEYS[2], generation)
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return {generation, tostring(ms - tonumber(string.match(generation, '^%d+')))}
