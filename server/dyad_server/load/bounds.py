"""The bounds of `load`: the calls that it makes, and what it measures."""

MOST_PROCESSES = 64
"""More processes than a machine has cores only get in each other's way."""
MOST_CALLS_PER_SECOND = 10_000.0
"""More than any machine can make; a larger number is a mistake."""
MOST_SECONDS = 7 * 24 * 3600.0
"""The longest run, and the longest call: a week."""

OFFER_BYTES = 5200
"""As long as a browser's offer for one audio and one video track."""
ANSWER_BYTES = 4300
"""As long as the answer to it."""
CANDIDATE_BYTES = 180
"""As long as a browser's server-reflexive candidate."""
CANDIDATES = 10
"""From each side: with one STUN server and two networks, a browser finds about so many."""
FRAMES_AT_ONCE = 1 + CANDIDATES
"""From each side: a description, and the candidates that follow it."""
FRAMES = FRAMES_AT_ONCE + 1
"""In all: one more candidate shows before the hang-up that the call still works."""

STEP_SECONDS = 15.0
"""How long a step of a call may take. A person would have hung up by then."""
GIVE_UP_SECONDS = 30.0
"""How long a participant tries to reconnect: twice the usual grace time, after which its seat
is gone."""
CAUSE_SECONDS = 2.0
"""How long a failed call waits for the participant that knows the cause."""
CONNECT_SECONDS = 8.0
"""How long a network connection to a proxy may take: as in the clients."""
SEND_SECONDS = 15.0
"""How long a `Send` may take: as in the web client."""
SILENCE_SECONDS = 60.0
"""How long a connection to a proxy is kept for the next `Send`; proxies keep them as long."""
TTL_MARGIN_SECONDS = 600
"""How much longer a token is valid than its call lasts, for reconnects and wrong clocks."""

USER_REST_SECONDS = 1.0
"""How long a user of a file of tokens rests between two calls. The server lets a user open five
streams a second, and a call that reconnects opens more than one."""
SETUP_SECONDS = 2.0
"""What a call takes besides `--hold` until its users are free again; to count users with."""
CLOSING_SECONDS = 30.0
"""How long the calls may take to hang up at the end of a run."""

REPORT_SECONDS = 1.0
"""How often a process reports, and the length of an interval in the plot."""
LAG_SECONDS = 0.05
"""How often a process measures how late its event loop is."""
START_SECONDS = 60.0
"""How long the processes may take to start, on a busy machine."""
LINE_SECONDS = 10.0
"""How often a line is printed where there is no terminal."""


LEAST_TIME = 1e-5
"""Shorter times are counted as this one: 10 µs."""
GROWTH = 1.02
"""By how much a bucket of times is greater than the one before it: 2 % is the error."""

LAG_LIMIT_SECONDS = 0.02
"""Latencies are a few milliseconds. If the load generator's own event loop is later than this,
they are not the server's."""
LATE_LIMIT_SECONDS = 0.25
"""If calls start later than this, the rate was not the one that was asked for."""
BUSY_CORES = 0.85
"""A process that uses so much of a core is busy: Python runs on one."""
RATE_SHARE = 0.98
"""Of the calls that were due, how many must have been started."""
DESCRIPTORS = {"Signal": 1, "Listen": 2}
"""The network connections of a participant, by transport."""
SPARE_DESCRIPTORS = 100
"""For everything but calls."""
LARGEST_TOKEN_FILE_BYTES = 256 * 1024 * 1024
"""A file of a hundred thousand tokens has some 40 MiB."""

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""The percentiles that are told."""
MEBIBYTE = 1024**2
"""The unit of memory."""
PLOT_DPI = 120
"""Of a PNG: sharp enough on a page."""
SHOWN_FAILURES = 12
"""How many kinds of failures the table shows; the JSON has all."""

MISSED_STATUS = 1
"""The exit status if a threshold was not kept; 2 is for a run that could not begin."""
