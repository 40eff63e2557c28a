"""Rooms that several nodes share, in Redis."""
