"""Everything that can go wrong, as one small tree.

Below `Ended` stands what ends a call; `status` gives each one its gRPC status.
What does not end a call is no exception: it is the output `events.Refused`.
"""


class DyadError(Exception):
    """Any failure of Dyad's own. Its text is one plain sentence without personal data."""


class ConfigError(DyadError):
    """The server cannot start as it is configured."""


class Ended(DyadError):  # noqa: N818 - it names what happened to the call
    """A call is over. Which kind of `Ended` says whether to come back."""


class Unauthenticated(Ended):
    """No token, or one that does not hold. Come back with a new one."""


class Forbidden(Ended):
    """The token is good, but not for this room."""


class SessionNotFound(Ended):
    """No such session, or somebody else's: the same answer to both."""


class Overloaded(Ended):
    """More than a limit allows: too large, too fast, or not read."""


class OutOfTime(Ended):
    """Nothing happened for longer than a limit allows."""


class OutOfStep(Ended):
    """The seat is lost: the two ends can no longer be kept in step."""


class Replaced(OutOfStep):
    """Another connection of the same user has the seat. Do not come back."""


class Unavailable(Ended):
    """The call may go on, but not on this connection, or not at present. Come back in a while.

    Attributes:
        within: seconds over which those who are told so come back.
    """

    within = 2.0


class Draining(Unavailable):
    """This server is going away; another one, or the next, serves the call."""
