-- The beginning of every script.
-- Every script's ARGV begins with: key prefix, generation, node, term, fencing token.
-- Its own arguments follow, from ARGV[6] on. docs/redis.md lists keys and fields.
-- MISSING_MS and MISSING_LIFE_MS are those of bounds.py: see `Pipeline.load`.
local prefix, generation, node, term, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local function lease_key(name) return prefix .. 'node:' .. name end
local function missing_key(name) return prefix .. 'missing:' .. name end
local function handed_off_key(id) return prefix .. 'handed-off:' .. id end

local function milliseconds()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end

-- Whether the calling node may change rooms: this Redis still has all that it was
-- told, the node has its lease, and this is no late copy from a connection that the
-- node has given up.
local function in_good_standing()
  local lease = redis.call('HMGET', lease_key(node), 'term', 'fence')
  return redis.call('GET', prefix .. 'generation') == generation
    and string.match(generation, '%x+$') == run_id()
    and lease[1] == term and lease[2] == fence
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

local function put_seat(polite, seat)
  redis.call('HSET', KEYS[1], polite, cjson.encode(seat))
end

-- Whether a node is gone: it has no lease, and has not renewed it for as long as a
-- renewal may take. A missing lease alone proves nothing: Redis also loses leases of
-- healthy nodes, when its clock is put forward or when it evicts a key.
local function gone(name)
  if redis.call('EXISTS', lease_key(name)) == 1 then return false end
  local now = milliseconds()
  local since = redis.call('GET', missing_key(name))
  if not since then
    redis.call('SET', missing_key(name), string.format('%d', now), 'PX', MISSING_LIFE_MS)
    return false
  end
  return now - tonumber(since) >= MISSING_MS
end

local function is_handed_off(seat) return redis.call('EXISTS', handed_off_key(seat.id)) == 1 end

-- Whether a seat is taken: its node's lease is of the term in which the seat was
-- last asserted, or the seat waits in Redis for any node to claim it.
local function live(seat)
  if is_handed_off(seat) then return true end
  if seat.node == '' then return false end
  local current = redis.call('HGET', lease_key(seat.node), 'term')
  if current then return current == seat.term end
  return not gone(seat.node)
end

-- The next number of what happens in a room. It is higher than all numbers before,
-- also than those that nodes remember of a room that Redis has forgotten. Hence the time.
local function next_epoch()
  local last = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
  local epoch = string.format('%d', math.max(milliseconds(), last + 1))
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  return epoch
end

-- Let the room live for at least so long: a seat that was handed off may need longer.
local function keep_room_for(ms)
  redis.call('PEXPIRE', KEYS[1], ms, 'NX')
  redis.call('PEXPIRE', KEYS[1], ms, 'GT')
end

local function text(seat) return seat and cjson.encode(seat) or '' end
