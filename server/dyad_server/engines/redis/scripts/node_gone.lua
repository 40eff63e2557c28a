-- Whether a node is gone.
-- KEYS: its lease.
-- Answers 1 if it is, else 0.
local name = ARGV[6]

return gone(name) and 1 or 0
