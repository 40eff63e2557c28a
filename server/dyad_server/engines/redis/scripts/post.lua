-- Send messages to a node, if it is there.
-- KEYS[1]: its lease, KEYS[2]: its inbox. ARGV: messages, most entries to keep, life time in ms.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'm', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
