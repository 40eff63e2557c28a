"""The bounds of `completion_queue`."""

EVENTS = 8
"""RPC events in one turn of the loop. With 64, what is to be written waits for milliseconds."""
TURN_SECONDS = 0.002
"""The time for RPC events in one turn of the loop. The remaining events wait for the next turn."""
READS = 16
"""Reads from the network in a turn that leaves events over, each for one connection. With 2, a
flood on 400 connections kept new connections from their handshake for minutes.
"""
READ_PAUSE_SECONDS = 0.002
"""The least pause between such reads. Each costs 1 µs of CPU where there is nothing to read: with
16 in each turn, 5 for a frame and 127 for a call.
"""
BEGINNINGS = 2
"""RPCs that may begin in one turn of the loop.

The others wait inside gRPC, where those that their client cancels meanwhile cost nothing. So
new RPCs, which need no token to begin, leave most of each turn to those that are open.
"""
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
