"""Pairing, sessions and limits: no gRPC, no Redis, no environment."""
