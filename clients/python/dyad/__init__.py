"""Dyad client."""
