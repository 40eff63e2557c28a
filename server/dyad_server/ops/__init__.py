"""What an operator sees: logs, metrics, worker processes."""
