"""The bounds of `doctor`: how long it waits, and from when on it warns."""

CHECK_SECONDS = 30.0
"""How long the checks of one area may take, apart from the call that is held."""
CONNECT_SECONDS = 5.0
"""How long a connection or a TLS handshake may take."""
ANSWER_SECONDS = 8.0
"""How long an answer may take. A proxy that holds back an answer for longer is buffering: the
server sends the first message of a `Listen` at once."""
LEAVE_SECONDS = 2.0
"""How long the end of a call may take: nothing depends on it any more."""
HOLD_SECONDS = 20.0
"""How long a call through a proxy is held: longer than the 15 s of Envoy's usual time limit."""
LONGEST_HOLD_SECONDS = 3600.0
"""Longer holds are a load test, not an examination."""

TOKEN_SECONDS = 60
"""How long the doctor's own tokens are good. Short: a server whose clock is ahead refuses them."""
CLOCK_ERROR_SECONDS = 30.0
"""The leeway of tokens: with a greater difference good tokens are refused."""
CLOCK_WARNING_SECONDS = 5.0
"""Clocks that are synchronized differ by far less."""
DATE_SECONDS = 1.0
"""How exact a `Date` header is: it has no fractions."""

REDIS_WARNING_SECONDS = 0.02
"""A round trip to Redis in one data centre takes 1 ms. Each join waits for one, and each frame
between two nodes too."""
REDIS_ERROR_SECONDS = 0.25
"""A quarter of the time after which a node gives up a round trip: under load it would."""
REDIS_MAJOR = 7
"""The oldest version of Redis that Dyad is tested with."""

LATE_SECONDS = 1.0
"""When even the fastest frame of a call is late: a proxy collects what it passes on."""
EXCHANGES = 5
"""Offers and answers of a call, in turn: enough for a best and a worst time."""
COOKIES = 4
"""Cookies of a request. Browsers send more of them to large sites."""
COOKIE_BYTES = 4000
"""Of each: nearly the most that browsers keep. Together they are what the server takes in all
headers of a request, so a proxy that forwards them breaks calls."""

MESSAGE_BYTES = 1024 * 1024
"""The largest message that is read from a proxy, which may be no Dyad at all."""
PAGE_BYTES = 4096
"""How much of a probe's answer is read."""
QUOTED_CHARACTERS = 200
"""How much of another program's words is quoted."""
