-- Keep rooms from expiring, and check that members sit there as the calling node believes.
-- KEYS: the rooms.
-- Three arguments for each room: a member of the calling node; the member on the other seat,
-- or ''; the node of that member, or '' if the node is not to be checked.
-- Answers {'ok', the ids of the members that do not sit there...} or {'again'}.
local room_ms, first = ARGV[6], 7

if not in_good_standing() then return {'again'} end

-- A seat is searched, because to decode it takes longer. Of all its fields, only its own id,
-- node and term are there in these words: in other values, the quotes are escaped.
local function says(seat, field, value)
  return string.find(seat, '"' .. field .. '":"' .. value .. '"', 1, true)
end

local function find(seats, id)
  return seats[1] and says(seats[1], 'id', id) and seats[1]
    or seats[2] and says(seats[2], 'id', id) and seats[2]
end

local terms = {}
local function term_of(name)
  if terms[name] == nil then terms[name] = redis.call('HGET', lease_key(name), 'term') end
  return terms[name]
end

local answer = {'ok'}
for n, key in ipairs(KEYS) do
  local id, peer_id, peer_node = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  first = first + 3
  local seats = redis.call('HMGET', key, '0', '1')
  if not find(seats, id) then answer[#answer + 1] = id end
  if peer_id ~= '' then
    local peer = find(seats, peer_id)
    if peer and peer_node ~= '' then
      local term = term_of(peer_node)
      peer = term and says(peer, 'node', peer_node) and says(peer, 'term', term)
    end
    if not peer then answer[#answer + 1] = peer_id end
  end
  redis.call('PEXPIRE', key, room_ms, 'GT')
end
return answer
