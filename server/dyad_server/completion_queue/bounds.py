"""The bounds of `completion_queue`."""

EVENTS = 8
"""RPC events in one turn of the loop. With 64, what is to be written waits for milliseconds."""
READS = 2
"""Reads from the network in a turn that leaves events over, so that pings are seen in time."""
REQUESTED_CALLS = 16
"""RPCs that gRPC may hand over before it is asked for more."""
LONGEST_WAIT_SECONDS = 3600.0
"""How long the loop waits if it has no timer."""
BUSY_SECONDS = 0.5
"""After so long in one turn of the loop, the helper reads from the network in its place."""
CLOCK_SET_SECONDS = 0.1
"""By how much the system's clock must have been set for the loop to look at its timers."""
TRIAL_SECONDS = 5.0
"""How long the trial waits for each event: far longer than it takes."""
CLOSE_SECONDS = 1.0
"""How long a closing queue waits for what is under way."""
