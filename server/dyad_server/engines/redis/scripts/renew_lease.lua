-- Renew a node's lease. Make a generation if this Redis has none of its own, because
-- it is empty, or was started or promoted since.
-- KEYS: the node's lease, the generation, the node's inbox, since when its lease is
-- missing, the node's fencing token, the schema, the name of this Redis.
-- The fencing token has a key of its own, which outlives the lease: a late copy must
-- not renew a lease that is gone.
-- Answers {generation, its age in ms, when the node was last back after others may have
-- believed it gone, or '', the time in ms}; {} to a late copy; the error DYADSCHEMA if the
-- data in this Redis has another layout, or DYADNAME if other nodes give this Redis another
-- name than this one, which may be ''. The node compares the time with that of the answer before,
-- so it learns of it even if an answer is lost.
local lease_ms, generation_ms, inbox_ms = ARGV[6], ARGV[7], ARGV[8]
local first_id, schema, name = ARGV[9], ARGV[10], ARGV[11]

local stored = redis.call('GET', KEYS[6])
if stored and stored ~= schema then return redis.error_reply('DYADSCHEMA ' .. stored) end
local known = redis.call('GET', KEYS[7])
if known and name ~= '' and known ~= name then return redis.error_reply('DYADNAME ' .. known) end
local latest = redis.call('GET', KEYS[5])
if latest and tonumber(latest) > tonumber(fence) then return {} end

redis.call('SET', KEYS[6], schema, 'PX', generation_ms)
if name ~= '' then redis.call('SET', KEYS[7], name, 'PX', generation_ms) end
redis.call('SET', KEYS[5], fence, 'PX', inbox_ms)
local now = milliseconds()
local missing = redis.call('EXISTS', KEYS[1]) == 0 and redis.call('GET', KEYS[4])
if missing and now - tonumber(missing) >= MISSING_MS then
  redis.call('HSET', KEYS[1], 'back', string.format('%d', now))
end
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[1], 'term', term, 'fence', fence)
redis.call('PEXPIRE', KEYS[1], lease_ms)
local current, run = redis.call('GET', KEYS[2]), run_id()
if not current or string.match(current, '%x+$') ~= run then
  current = string.format('%d-%s', now, run)
end
redis.call('SET', KEYS[2], current, 'PX', generation_ms)
-- An inbox is there as long as its node's lease, and longer: entries are put only into one that
-- is there.
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('XADD', KEYS[3], 'MAXLEN', '0', '*', 'entry', '')
end
redis.call('XTRIM', KEYS[3], 'MINID', first_id)
redis.call('PEXPIRE', KEYS[3], inbox_ms)
local age = now - tonumber(string.match(current, '^%d+'))
local back = redis.call('HGET', KEYS[1], 'back') or ''
return {current, tostring(age), back, string.format('%d', now)}
