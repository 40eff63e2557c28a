"""Dyad server."""
