-- Give a member a seat of a room.
-- KEYS[1]: the room. ARGV: key prefix, generation, node, member id, member (JSON),
-- create (1/0), room's life time in ms.
-- Answers {'ok', polite, epoch, peer or '', evicted or ''} or {why}.
local prefix, generation, node, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local member = cjson.decode(ARGV[5])

if redis.call('GET', prefix .. 'generation') ~= generation then
  return {'generation'}
end

local seats = {}
for _, polite in ipairs({'0', '1'}) do
  local text = redis.call('HGET', KEYS[1], polite)
  if text then
    local seat = cjson.decode(text)
    -- By Redis' own time: a node is there while its lease is.
    if redis.call('EXISTS', prefix .. 'node:' .. seat.node) == 1
        or redis.call('EXISTS', prefix .. 'parked:' .. seat.id) == 1 then
      seats[polite] = seat
    else
      redis.call('HDEL', KEYS[1], polite)
    end
  end
end

local function other(polite) return polite == '0' and '1' or '0' end
local function text(seat) return seat and cjson.encode(seat) or '' end

local mine, evicted
for _, polite in ipairs({'0', '1'}) do
  local seat = seats[polite]
  -- Asked again because the answer was lost.
  if seat and seat.id == id then
    local epoch = redis.call('HGET', KEYS[1], 'epoch')
    return {'ok', polite, epoch, text(seats[other(polite)]), ''}
  end
  if seat and seat.held and seat.user == member.user and not mine then
    mine, evicted = polite, seat
  end
end

if not mine then
  if not seats['0'] and not seats['1'] then
    if ARGV[6] ~= '1' then
      redis.call('DEL', KEYS[1])
      return {'not found'}
    end
    mine = '0'
  elseif seats['0'] and seats['1'] then
    return {'full'}
  else
    mine = seats['0'] and '1' or '0'
  end
end

member.node = node
member.held = false
redis.call('HSET', KEYS[1], mine, cjson.encode(member))
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {'ok', mine, tostring(epoch), text(seats[other(mine)]), text(evicted)}
