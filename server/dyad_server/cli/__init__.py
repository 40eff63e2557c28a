"""The command `dyad`."""
