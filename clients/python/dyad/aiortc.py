"""Calls with aiortc: the W3C's "perfect negotiation" over a connection, with ICE restart.

It needs the extra of the same name: `pip install 'dyad-signaling-client[aiortc]'`.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiortc import RTCIceCandidate, RTCIceTransport, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from dyad.connection import Connection
from dyad.errors import DyadError
from dyad.events import (
    Answer,
    Candidate,
    Departure,
    Event,
    Offer,
    PeerJoined,
    PeerLeft,
    Reconnected,
)

# A peer that hangs up ends its media first. So wait before a restart whether that comes.
_GAP_SECONDS: Final = 1.0
_UFRAG: Final = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)

_LOG: Final = logging.getLogger("dyad")


class Peer:
    """Negotiates with the other participant of a room, from either side.

    Give every event of the room to `take`. The participant who is there first makes the
    offer when the other one joins.

    aiortc can neither take an offer back nor restart ICE. So for each of these, a `Peer`
    replaces the `RTCPeerConnection` by a new one. When a path to the other side fails, the
    side that made the last offer makes another one. A browser or pion restarts ICE by
    itself, and this side then follows.

    A track is sent once an offer has a place for its kind. A browser that offers only sound
    is sent only sound.

    Attributes:
        pc: the current `RTCPeerConnection`, or None while there is no peer.
    """

    def __init__(
        self, connection: Connection, make: Callable[[], RTCPeerConnection], *, polite: bool
    ) -> None:
        """Prepare to negotiate.

        Args:
            connection: the connection, which is in the room.
            make: returns a new `RTCPeerConnection` with its tracks and its handlers. It is
                called more than once, and tracks end with their connection, so it makes new
                tracks each time. Share a camera with aiortc's `MediaRelay`.
            polite: this side's role, `polite` of the room.
        """
        self.pc: RTCPeerConnection | None = None
        self._connection = connection
        self._make = make
        self._polite = polite
        self._present = False  # Whether the other participant is in the room.
        self._offered = False  # Whether this side made the last offer.
        self._ignoring = False  # Whether the last offer was ignored, and so its candidates are.
        self._ufrags: set[str] = set()  # They name the other side's ICE generation.
        # The call as this side last described it.
        self._call: list[MediaDescription] = []
        # What a new peer connection would offer: kinds and names.
        self._new_media: list[tuple[str, str]] = []
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def take(self, event: Event) -> None:
        """Act on an event of the room. Events that say nothing about media do nothing.

        A description that aiortc cannot use is logged, and the media connection closed. The other
        side's next offer, or `restart`, makes a new one.

        Raises:
            DyadError: the answer or the offer could not be sent.
        """
        async with self._one_at_a_time:
            match event:
                case PeerJoined():
                    self._present = True
                    await self._offer()
                case Offer(sdp):
                    self._present = True
                    await self._take_offer(sdp)
                case Answer(sdp):
                    await self._take_answer(sdp)
                case Candidate():
                    await self._take_candidate(event)
                case PeerLeft(_, reason):
                    self._present = False
                    await self._forget(media=reason is Departure.LEFT)
                case Reconnected(room, resumed=False):
                    self._polite, self._present = room.polite, room.peer is not None
                    await self._forget(media=False)

    async def restart(self) -> None:
        """Look for another path to the other side, for instance because the network changed.

        If a new peer connection cannot continue the other side's call, because a browser has
        put the media in another order, this only ends the old path. The other side notices
        that within seconds, and restarts ICE.
        """
        async with self._one_at_a_time:
            if not self._present or self._negotiating:
                return
            media = [(each.kind, each.rtp.muxId) for each in self._call]
            if media in ([], self._new_media):
                await self._offer(self._call)
            elif self.pc is not None:
                await _cut(self.pc)

    async def close(self) -> None:
        """End the media. The signaling connection stays as it is."""
        self._present = False
        for task in self._tasks:
            task.cancel()
        async with self._one_at_a_time:
            await self._forget(media=True)

    @property
    def _negotiating(self) -> bool:
        """Whether an offer of this side waits for its answer."""
        return self.pc is not None and self.pc.signalingState == "have-local-offer"

    async def _forget(self, *, media: bool) -> None:
        """Forget an offer that will not be answered, and with `media` the connection, too.

        While only the signaling of the other side is gone, its pictures may still arrive.
        """
        pc = self.pc
        if pc is not None and (media or self._negotiating):
            self.pc = None
            self._call = []
            await pc.close()

    async def _renewed(self) -> RTCPeerConnection:
        if self.pc is not None:
            # A browser that is told of the end does not continue the call.
            await _cut(self.pc)
            await self._forget(media=True)
        self.pc = pc = self._make()
        self._ufrags = set()
        kinds = [each.kind for each in pc.getTransceivers()] + ["application"] * bool(pc.sctp)
        self._new_media = [(kind, str(name)) for name, kind in enumerate(kinds)]
        pc.on("connectionstatechange", lambda: self._watch(pc))
        pc.on("iceconnectionstatechange", lambda: self._start(_announce_the_path(pc)))
        return pc

    def _watch(self, pc: RTCPeerConnection) -> None:
        # If the path is lost, aiortc closes a connection that was connected.
        if pc is self.pc and pc.connectionState in ("failed", "closed") and self._offered:
            self._start(self._mend(pc))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="dyad-peer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _mend(self, pc: RTCPeerConnection) -> None:
        await asyncio.sleep(_GAP_SECONDS)
        if pc is not self.pc:
            return
        _LOG.info("the path to the peer is lost, restarting")
        try:
            await self.restart()
        except DyadError as error:
            # The connection tells the app, too.
            _LOG.info("the restart failed: %s", error)

    async def _offer(self, call: Sequence[MediaDescription] = ()) -> None:
        """Offer a new peer connection, which continues the call if there is one."""
        pc = await self._renewed()
        self._offered = True
        offer = SessionDescription.parse((await pc.createOffer()).sdp)
        for new, agreed in zip(offer.media, call, strict=False):
            # The side that made the first offer has numbered the codecs and header extensions.
            # Chromium refuses other numbers in a later offer, and takes no offer after that.
            new.fmt, new.rtp.codecs = agreed.fmt, agreed.rtp.codecs
            new.rtp.headerExtensions = agreed.rtp.headerExtensions
        # aiortc gathers its candidates here, and puts them into the SDP.
        await pc.setLocalDescription(RTCSessionDescription(str(offer), "offer"))
        await self._connection.send_offer(pc.localDescription.sdp)

    async def _take_offer(self, sdp: str) -> None:
        self._ignoring = self._negotiating and not self._polite
        if self._ignoring:
            return
        offer = RTCSessionDescription(sdp, "offer")
        pc = self.pc
        restarts = self._ufrags.isdisjoint(_UFRAG.findall(sdp))
        self._offered = False
        usable = pc is not None and pc.signalingState == "stable" and not restarts
        # A connection whose path is lost may close at this moment. Then a new one answers.
        if pc is None or not usable or not await self._describe(pc, offer):
            pc = await self._renewed()
            if not await self._describe(pc, offer):
                return
        await self._connection.send_answer(pc.localDescription.sdp)

    async def _take_answer(self, sdp: str) -> None:
        if self.pc is not None and self._negotiating:
            self._ignoring = False
            await self._describe(self.pc, RTCSessionDescription(sdp, "answer"))

    async def _describe(self, pc: RTCPeerConnection, description: RTCSessionDescription) -> bool:
        """Set the other side's description, and answer an offer.

        Returns:
            False if aiortc cannot use the description.
        """
        try:
            await pc.setRemoteDescription(description)
            if description.type == "offer":
                for transceiver in pc.getTransceivers():
                    if transceiver.mid is None:
                        # The offer has no place for this track, and aiortc would fail to answer.
                        transceiver._offerDirection = "inactive"  # noqa: SLF001 - there is no other way
                await pc.setLocalDescription()
        except Exception as failure:  # noqa: BLE001 - aiortc raises any kind on what it cannot parse
            # The text of the failure may contain a part of the SDP.
            _LOG.warning("aiortc cannot use the %s: %s", description.type, type(failure).__name__)
            await self._forget(media=True)
            return False
        self._ufrags = set(_UFRAG.findall(description.sdp))
        self._call = SessionDescription.parse(pc.localDescription.sdp).media
        return True

    async def _take_candidate(self, event: Candidate) -> None:
        foreign = event.username_fragment not in {None, *self._ufrags}
        pc = self.pc
        if pc is None or pc.signalingState == "closed" or not self._ufrags:
            return
        if self._ignoring or foreign:
            return
        if not event.candidate:
            await pc.addIceCandidate(None)
        elif (candidate := _candidate(event)) is not None:
            await pc.addIceCandidate(candidate)


async def _cut(pc: RTCPeerConnection) -> None:
    """End the path of a peer connection without telling the other side."""
    for transport in _transports(pc):
        await transport.stop()


async def _announce_the_path(pc: RTCPeerConnection) -> None:
    """Send a byte on a new path.

    A browser answers on the old path until data arrives on the new one. Where the browser must
    begin the DTLS handshake, that would take 5 s. The byte belongs to no protocol of WebRTC, and
    so is ignored (RFC 7983).
    """
    if pc.iceConnectionState == "completed":
        for transport in _transports(pc):
            await transport._send(b"\xff")  # noqa: SLF001 - there is no other way


def _transports(pc: RTCPeerConnection) -> set[RTCIceTransport]:
    transports = {each.receiver.transport.transport for each in pc.getTransceivers()}
    if pc.sctp is not None:
        transports.add(pc.sctp.transport.transport)
    return transports


def _candidate(event: Candidate) -> RTCIceCandidate | None:
    """Return aiortc's form of a candidate, or None if it is of no use."""
    try:
        candidate = candidate_from_sdp(event.candidate.removeprefix("candidate:"))
    except (AssertionError, ValueError, IndexError):
        return None
    if candidate.ip.endswith(".local"):
        # mDNS hides the peer's address, and takes seconds. The peer finds this side instead.
        return None
    candidate.sdpMid = event.sdp_mid
    candidate.sdpMLineIndex = event.sdp_m_line_index
    if candidate.sdpMid is None and candidate.sdpMLineIndex is None:
        candidate.sdpMLineIndex = 0
    return candidate
