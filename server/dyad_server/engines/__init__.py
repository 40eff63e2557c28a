"""Where rooms are kept: in this process, or in Redis."""
