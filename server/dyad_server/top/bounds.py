"""The bounds of `top`."""

SHOWN_REASONS = 3
"""How many reasons for refusals there is room for in a line."""
QUANTILE = 0.99
"""Which percentile is shown of delays."""
SILENT_STATUS = 1
"""The exit status of `--once` if a node did not answer."""
MEBIBYTE = 1024**2
"""The unit of memory."""
