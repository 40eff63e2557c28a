"""The bounds of `engines.redis`: how long nodes wait for Redis and each other, and how much waits.

Many of these depend on each other. Where one must be shorter than another, its comment
says so, and tests/unit/engines/redis/test_bounds.py checks it. docs/redis.md has the
lifetimes of the keys.
"""

# Lifetimes of keys.

LEASE_MS = 6_000
"""A node's lease. It outlasts several renewals, so that no single one matters."""
LEASE_SECONDS = LEASE_MS / 1000
"""The same, for comparisons."""
LEASE_MARGIN_SECONDS = 0.5
"""A node believes its own lease over earlier than others do: a renewal takes a moment."""
ROOM_MS = 120_000
"""A room that no node keeps: longer than any outage of Redis that seats outlast."""
INBOX_MS = 60_000
"""An inbox and a fence: longer than the lease of their node."""
MISSING_MS = 1750
"""When a lease that is missing means that its node is gone. Longer than `RENEW_SECONDS`: a healthy
node renews its lease before that, even if Redis has lost it."""
MISSING_LIFE_MS = 180_000
"""Since when a lease is missing: longer than the rooms of its node live."""
SEAL_MS = 300_000
"""The seal of a room that may be in another Redis. Longer than `MISSING_LIFE_MS`: a node that was
cut off from this Redis meets it when it comes back and asserts its seats."""
HEED_MS = 3_500
"""How much longer a seal lasts, at least, after it was heeded: longer than two nodes need to enter,
the one that goes to the other Redis, and one that has looked there before."""
GENERATION_MS = 3_600_000
"""The generation of the data, and the schema. Every renewal renews them."""

# One connection.

CONNECT_SECONDS = 1.0
"""How long a connection to Redis may take."""
ROUND_TRIP_SECONDS = 1.0
"""How long a round trip may take before its connection is given up."""
SAY_AGAIN_SECONDS = 60.0
"""How often the log says that Redis is still away."""
RETRY_SECONDS = 0.1
"""The pause before the next try."""
COMMANDS_AT_ONCE = 200
"""Commands in a round trip: far fewer than take `ROUND_TRIP_SECONDS`."""
BYTES_AT_ONCE = 1024 * 1024
"""Bytes in a round trip, for the same reason."""

# This node.

NODE_BYTES = 8
"""A node's name: enough that no two nodes have the same."""
RENEW_SECONDS = 1.0
"""How often a lease is renewed."""
PROBE_SECONDS = 1.0
"""How often a node sends itself a message, to see that its inbox works."""
PROBE_LATE_SECONDS = 3.0
"""When a probe that has not arrived means that a connection is stuck."""
SETTLE_SECONDS = 3.0
"""How old a generation must be before anyone enters: all nodes have renewed their lease by then,
and have asserted their members."""
STOP_SECONDS = 2.0
"""How long a stop waits for what is still to be sent."""

# Scripts.

ENTER_SECONDS = 1.5
"""How long a client that enters waits. It is refused then, and may try again."""
ANSWER_SECONDS = 1.0
"""How long a client that resumes or leaves waits; then what this node knows is the answer."""
SCRIPT_SECONDS = 2.0
"""How long this node waits for other scripts: longer than a round trip and a retry."""
PERSIST_SECONDS = 60.0
"""How much longer a script is repeated for its effect: a seat must be freed some time."""

# Peers and rooms.

TICK_SECONDS = 0.25
"""How often the seats are looked after."""
WATCH_TICKS = 4
"""Ticks between two looks at the nodes of peers and at rooms: 1 s."""
WATCH_SECONDS = WATCH_TICKS * TICK_SECONDS
"""How long a look at a node may take: then there is the next."""
KEEP_LOOKS = 8
"""Looks in which each room is kept once: 8 s, far less than `ROOM_MS`."""
ROOMS_AT_ONCE = 100
"""Rooms that one script keeps: Redis does nothing else meanwhile."""
ABSENT_SECONDS = 3.0
"""How long a peer may have no seat in Redis. Its node can tell in this time whether the peer
left, or Redis lost the room and the peer is still there."""
MOVED_SECONDS = 60.0
"""How long a member that moved away is remembered: other nodes may still speak to it here."""

# Links between peers.

LINK_MESSAGES = 512
"""Unacknowledged messages to one peer; with more, the two have lost each other."""
LINK_BYTES = 512 * 1024
"""The same in bytes."""
MESSAGE_BYTES = 64
"""What a message counts in addition to its payload."""
RESEND_SECONDS = 1.0
"""When an unacknowledged message is resent."""
SILENT_SECONDS = 7.0
"""When an unacknowledged message means that the peer is lost. Longer than `LEASE_SECONDS`, for
its node may be gone; short enough that both members are told within 10 s."""
LEAVING_SECONDS = 2 * ANSWER_SECONDS
"""How long the link of a member that is gone is kept for the message that it has left, which waits
for Redis up to `ANSWER_SECONDS`."""
LAST_MESSAGES_SECONDS = 20.0
"""How long the last messages of a member that is gone are resent. Longer than a seat is
reserved: a peer that reconnects may still lack them."""
REMEMBER_SECONDS = 30.0
"""How long a sender is remembered after its receiver is gone. Longer than `LAST_MESSAGES_SECONDS`,
or it would be received twice."""

# Inboxes.

READ_ENTRIES = 256
"""Entries that are read at once."""
READ_BLOCK_MS = 500
"""How long a read waits for an entry: a stop waits for it."""
INBOX_ENTRIES = 20_000
"""Entries of an inbox. A node reads its inbox without a pause: far fewer can wait there."""
MESSAGES_AN_ENTRY = 64
"""Messages in an entry, so that no entry is large."""
POST_SECONDS = 0.005
"""The pause between two entries to other nodes, and between two reads. A message alone does not
wait; of many, each waits up to twice as long, and a round trip carries several."""
ACK_SECONDS = 0.02
"""How long an acknowledgement waits for other messages. Far less than `RESEND_SECONDS`."""
MESSAGES_WAITING = 1024
"""Messages that wait for one node. The rest is dropped; the links between peers resend it."""
LOGGED_CHARACTERS = 80
"""Of a kind or a field that was not understood: another node has written it."""

# Several Redis.

WEIGHT_BYTES = 8
"""The hash by which a room chooses its Redis."""
ROOM_IDS_DRAWN = 64
"""Ids that are drawn for a new room, until its Redis is there."""

# Questions between nodes.

REQUEST_BYTES = 8
"""The name of a question or a claim."""
ASK_AGAIN_SECONDS = 0.5
"""When a question is repeated: a message may be lost, so each is asked at least twice."""
REMEMBERED_ANSWERS = 4096
"""Answers that are kept, in case one is lost and its question comes again."""
SEND_SECONDS = 3.0
"""How long a forwarded `Send` may take."""
FINISH_SECONDS = SEND_SECONDS
"""How long a node that stops waits for what other nodes have asked of it."""
CLAIM_ANSWER_SECONDS = 1.0
"""How long a node may take to hand a participant off. It is asked again if it does not answer."""
CLAIM_PAUSE_SECONDS = 0.5
"""The pause before Redis is asked again for a participant."""
CLAIM_SECONDS = 7.5
"""How long a participant is looked for. Longer than the lease of a node that is gone, shorter
than a client waits."""
CLAIMS_PER_USER = 16
"""Claims of one user at one time: as many as it may have streams."""
CLAIMS = 2048
"""Claims of all users at one time, at one Redis. One that is away takes none from the others."""

# What `dyad doctor` looks at.

OBSERVED_ROUND_TRIPS = 11
"""Round trips that are measured; the first also connects and does not count."""
OBSERVED_KEY_MS = 5_000
"""How long the key lives on which commands are tried."""
