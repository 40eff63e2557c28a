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

-- Whether somebody sits there: its node's lease is of the term in which the
-- seat was last said to be taken, or it is left for any node to take up.
local function live(seat)
  return redis.call('HGET', prefix .. 'node:' .. seat.node, 'term') == seat.term
    or redis.call('EXISTS', prefix .. 'parked:' .. seat.id) == 1
end

-- A number for what happens in a room, higher than all before it, also than what
-- nodes still know of a room that Redis has forgotten: hence the time.
local function next_epoch()
  local now = redis.call('TIME')
  local ms = now[1] * 1000 + math.floor(now[2] / 1000)
  local last = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
  local epoch = string.format('%d', math.max(ms, last + 1))
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  return epoch
end

local function text(seat) return seat and cjson.encode(seat) or '' end
