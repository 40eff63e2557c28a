-- See whether a node is there.
-- KEYS[1]: its lease. ARGV: as in node.lua; its name.
-- Answers 1, or 0: it is gone.
return gone(ARGV[6]) and 0 or 1
