"""`dyad load`: makes calls against a server, and says what they met. It imports from `run`."""
