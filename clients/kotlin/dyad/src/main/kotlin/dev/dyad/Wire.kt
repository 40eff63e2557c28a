package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.IceCandidate
import dev.dyad.v1.Participant as WireParticipant

/** The event of a frame from the server, or null if this client does not know it. */
internal fun Frame.toEvent(): Event? =
    when (eventCase) {
        Frame.EventCase.JOIN_ROOM -> PeerJoined(roomId, sender.toParticipant())
        Frame.EventCase.LEAVE_ROOM ->
            PeerLeft(
                roomId,
                sender.toParticipant(),
                Departure.entries.find { it.number == leaveRoom.reasonValue }
                    ?: Departure.UNSPECIFIED,
            )
        Frame.EventCase.OFFER -> Offer(roomId, offer.sdp, sender.toParticipant())
        Frame.EventCase.ANSWER -> Answer(roomId, answer.sdp, sender.toParticipant())
        Frame.EventCase.ICE_CANDIDATE -> toCandidate()
        Frame.EventCase.ERROR -> toRefused()
        Frame.EventCase.EVENT_NOT_SET,
        null -> null
    }

/** The room in a `join_room` acknowledgement. */
internal fun Frame.toRoom(): Room =
    Room(roomId, if (joinRoom.hasPeer()) joinRoom.peer.toParticipant() else null, joinRoom.polite)

/** The refusal in an `error` frame. */
internal fun Frame.toRefused(): Refused =
    Refused(
        Refusal.entries.find { it.number == error.codeValue } ?: Refusal.UNSPECIFIED,
        error.message,
        roomId,
    )

/** The contract's form of a candidate. */
internal fun Candidate.toIceCandidate(): IceCandidate =
    IceCandidate.newBuilder()
        .setCandidate(candidate)
        .also { ice ->
            sdpMid?.let(ice::setSdpMid)
            sdpMLineIndex?.let(ice::setSdpMLineIndex)
            usernameFragment?.let(ice::setUsernameFragment)
        }
        .build()

private fun Frame.toCandidate(): Candidate =
    with(iceCandidate) {
        Candidate(
            candidate,
            if (hasSdpMid()) sdpMid else null,
            if (hasSdpMLineIndex()) sdpMLineIndex else null,
            if (hasUsernameFragment()) usernameFragment else null,
            sender.toParticipant(),
            roomId,
        )
    }

private fun WireParticipant.toParticipant(): Participant = Participant(userId, email)
