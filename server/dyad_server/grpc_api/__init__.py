"""The gRPC side: the contract's streams, health, reflection, TLS."""
