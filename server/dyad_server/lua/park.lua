-- Leave a held participant in Redis, for whichever node its client comes to.
-- KEYS[1]: 'parked' of the member, KEYS[2..]: its resume tokens.
-- ARGV: member id, what is left, how long it is good, in ms.
redis.call('SET', KEYS[1], '1', 'PX', ARGV[3])
for n = 2, #KEYS do
  redis.call('HSET', KEYS[n], 'id', ARGV[1], 'left', ARGV[2])
  redis.call('PEXPIRE', KEYS[n], ARGV[3])
end
return 1
