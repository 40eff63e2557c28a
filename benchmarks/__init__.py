"""Programs that measure the server. Their results are in docs/."""
