"""Who a client is: its token, and the keys that verify it."""
