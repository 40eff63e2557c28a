-- What every script about rooms begins with.
-- ARGV begins with: key prefix, generation, node, term, voice.
local prefix, generation, node, term, voice = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- Whether the one who asks may: this is the Redis it knows, which has neither
-- forgotten anything nor let the node's lease go, and the question is no late
-- copy from a connection that the node has given up.
local function standing()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local lease = redis.call('HMGET', prefix .. 'node:' .. node, 'term', 'voice')
  return redis.call('GET', prefix .. 'generation') == generation
    and string.match(generation, '%x+$') == run
    and lease[1] == term and lease[2] == voice
end

local function other(polite) return polite == '0' and '1' or '0' end

local function seat_at(polite)
  local text = redis.call('HGET', KEYS[1], polite)
  return text and cjson.decode(text)
end

local function seat_of(id)
  for _, polite in ipairs({'0', '1'}) do
    local seat = seat_at(polite)
    if seat and seat.id == id then return polite, seat end
  end
end

local function milliseconds()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- Whether a node is gone: it has no lease, and did not renew it within the time
-- in which it would have. Redis also loses leases of nodes that are well, where
-- its clock is put forward or a key is evicted.
local function gone(name)
  if redis.call('EXISTS', prefix .. 'node:' .. name) == 1 then return false end
  local key, now = prefix .. 'missing:' .. name, milliseconds()
  local since = redis.call('GET', key)
  if not since then
    -- For longer than a room lives that nobody keeps.
    redis.call('SET', key, string.format('%d', now), 'PX', 180000)
    return false
  end
  return now - tonumber(since) >= 1750
end

-- Whether somebody sits there: its node's lease is of the term in which the
-- seat was last said to be taken, or it is left for any node to take up.
local function live(seat)
  if redis.call('EXISTS', prefix .. 'parked:' .. seat.id) == 1 then return true end
  if seat.node == '' then return false end
  local current = redis.call('HGET', prefix .. 'node:' .. seat.node, 'term')
  if current then return current == seat.term end
  return not gone(seat.node)
end

-- A number for what happens in a room, higher than all before it, also than what
-- nodes still know of a room that Redis has forgotten: hence the time.
local function next_epoch()
  local last = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
  local epoch = string.format('%d', math.max(milliseconds(), last + 1))
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  return epoch
end

local function text(seat) return seat and cjson.encode(seat) or '' end
