-- Renew a node's lease; make the generation if this Redis has none of its own:
-- it is empty, or was started or promoted since.
-- KEYS[1]: the node's lease, KEYS[2]: the generation, KEYS[3]: the node's inbox,
-- KEYS[4]: since when the lease is missed, see node.lua, KEYS[5]: the node's voice,
-- which outlives the lease: a late copy must not renew a lease that is gone.
-- ARGV: term and voice of the node, lease in ms, life time of the generation and
-- of the inbox and the voice in ms, lowest id of the inbox still needed.
-- Answers {generation, its age in ms, when the node was last back after others can
-- have believed it gone, or ''}, or {} to a late copy. The node compares the last
-- one with what it was answered before, so it learns of it even if an answer is lost.
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local voice = redis.call('GET', KEYS[5])
if voice and tonumber(voice) > tonumber(ARGV[2]) then return {} end
redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[5])
local missing = redis.call('EXISTS', KEYS[1]) == 0 and redis.call('GET', KEYS[4])
if missing and ms - tonumber(missing) >= 1750 then
  redis.call('HSET', KEYS[1], 'back', string.format('%d', ms))
end
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[1], 'term', ARGV[1], 'voice', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local generation = redis.call('GET', KEYS[2])
if not generation or string.match(generation, '%x+$') ~= run then
  generation = string.format('%d-%s', ms, run)
end
redis.call('SET', KEYS[2], generation, 'PX', ARGV[4])
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
local age = ms - tonumber(string.match(generation, '^%d+'))
return {generation, tostring(age), redis.call('HGET', KEYS[1], 'back') or ''}
