-- Renew a node's lease; make the generation if this Redis has none of its own:
-- it is empty, or was started or promoted since.
-- KEYS[1]: the node's lease, KEYS[2]: the generation, KEYS[3]: the node's inbox,
-- KEYS[4]: since when the lease is missed, see node.lua.
-- ARGV: term and voice of the node, lease in ms, life time of the generation and
-- of the inbox in ms, lowest id of the inbox still needed.
-- Answers {generation, its age in ms, whether others can have believed the node gone (1/0)}, or {}
-- to a late copy.
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'term', 'voice')
if lease[2] and tonumber(lease[2]) > tonumber(ARGV[2]) then return {} end
local missing = not lease[1] and redis.call('GET', KEYS[4])
local gone = missing and ms - tonumber(missing) >= 1750
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
return {generation, tostring(age), gone and '1' or '0'}
