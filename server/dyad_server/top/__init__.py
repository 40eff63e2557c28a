"""`dyad top`: shows what nodes are doing, from their metrics. It imports from `run`."""
