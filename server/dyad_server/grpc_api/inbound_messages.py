"""What comes in on either transport: bounded, charged to its sender, given to the hub."""

from collections.abc import Sequence
from dataclasses import dataclass

from dyad.v1 import signaling_pb2 as pb

from dyad_server.auth.verifier import Token
from dyad_server.core.hub import TOO_MUCH, Hub
from dyad_server.core.participant import Connection
from dyad_server.errors import Ended, Overloaded, Reason
from dyad_server.grpc_api import codec, field_scan

# An unreadable message is answered like a frame without an event.
_UNREADABLE: field_scan.Fields = [(pb.SignalRequest.FRAMES_FIELD_NUMBER, slice(0, 0))]
_SIGNAL_FRAMES = pb.SignalRequest.FRAMES_FIELD_NUMBER
_SEND_FRAMES = pb.SendRequest.FRAMES_FIELD_NUMBER
_SESSION = pb.SendRequest.SESSION_ID_FIELD_NUMBER


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of both transports; the first three are settings.

    Attributes:
        max_frame_bytes: the largest frame.
        write_timeout: seconds that a write may take.
        end_at_expiry: whether a connection ends when its token expires.
        frames_at_once: the most frames in a message.
        requests_per_user: each `Send` under way, and each `Listen` that waits for
            their first message.
    """

    max_frame_bytes: int
    write_timeout: float
    end_at_expiry: bool
    frames_at_once: int
    requests_per_user: int


class Inbound:
    """Takes the messages of clients."""

    def __init__(self, hub: Hub, terms: Terms) -> None:
        """Give `hub` what comes in within `terms`."""
        self._hub = hub
        self._terms = terms

    def signal(self, connection: Connection, message: bytes) -> None:
        """Act on a `SignalRequest`; a message over the limits ends the connection."""
        fields = self._fields(message)
        if self._hub.charge(connection, max(len(fields), 1), len(message)):
            self._receive(connection, field_scan.contents(message, fields, _SIGNAL_FRAMES))

    async def send(self, token: Token, message: bytes) -> None:
        """Act on a `SendRequest`, on the node of its session.

        Raises:
            Ended: there is no such session of this user, or it is over.
        """
        user_id, stale = token.identity.user_id, token.digest if token.stale else b""
        session_id, frames, count = self._parts_of_send(message)
        handoff = self._hub.handoff
        if handoff is not None and handoff.elsewhere(session_id):
            # The other node charges for it as well, but this node has had the work.
            self._charge(token.account, count, len(message))
            await handoff.send(user_id, stale, session_id, message)
            return
        try:
            connection = self._hub.find(session_id, user_id, stale)
        except Ended:
            self._charge(token.account, count, len(message))
            raise
        self._take_send(connection, frames, count, len(message))

    def forwarded_send(self, user_id: str, stale: bytes, message: bytes) -> Ended | None:
        """Act on a `SendRequest` that another node forwarded; returns what ended it, if anything.

        Args:
            user_id: the sender.
            stale: see `Registry.find`.
            message: the request.
        """
        session_id, frames, count = self._parts_of_send(message)
        try:
            connection = self._hub.find(session_id, user_id, stale)
            self._take_send(connection, frames, count, len(message))
        except Ended as failure:
            return failure
        return None

    def _parts_of_send(self, message: bytes) -> tuple[str, Sequence[bytes], int]:
        """The session that a `SendRequest` is for, its frames, and how many it counts as."""
        fields = self._fields(message, beside=1)
        sessions = [where for number, where in fields if number == _SESSION]
        session_id = message[sessions[-1]] if sessions else b""
        frames = field_scan.contents(message, fields, _SEND_FRAMES)
        return session_id.decode("utf-8", "replace"), frames, max(len(fields) - 1, 1)

    def _take_send(
        self, connection: Connection, frames: Sequence[bytes], count: int, size: int
    ) -> None:
        if not self._hub.charge(connection, count, size):
            raise Overloaded(TOO_MUCH)
        self._receive(connection, frames)
        if connection.failure is not None:
            raise connection.failure

    def _charge(self, account: str, count: int, size: int) -> None:
        if not self._hub.allows(account, count, size):
            raise Overloaded(TOO_MUCH)

    def _fields(self, message: bytes, *, beside: int = 0) -> field_scan.Fields:
        """The fields of a message, up to one more than it may have; `beside` do not count."""
        try:
            return field_scan.fields(message, self._terms.frames_at_once + beside)
        except ValueError:
            return _UNREADABLE

    def _receive(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Give the hub frames until one of them ends the connection."""
        for frame in frames:
            if not self._hub.hears(connection):
                break
            if len(frame) > self._terms.max_frame_bytes:
                sentence = f"A frame is larger than {self._terms.max_frame_bytes} bytes."
                self._hub.end(connection.participant, Overloaded(sentence, Reason.FRAME_TOO_LARGE))
                break
            self._hub.receive(connection, codec.read(frame))
