"""Programs that measure; what they print is in docs/."""
