-- Put an entry into a node's inbox, if the node has a lease.
-- KEYS: the node's lease, its inbox.
local entry, most_entries, inbox_ms = ARGV[1], ARGV[2], ARGV[3]

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', most_entries, '*', 'entry', entry)
redis.call('PEXPIRE', KEYS[2], inbox_ms)
return 1
