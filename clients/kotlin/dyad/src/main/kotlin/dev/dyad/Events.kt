package dev.dyad

/**
 * A user in a room, as named by the app's token.
 *
 * @property userId the token's `sub`.
 * @property email the token's `email`; empty if it has none.
 */
public data class Participant(val userId: String, val email: String = "")

/**
 * A room that was entered.
 *
 * @property roomId what the other participant needs to join.
 * @property peer the participant already there; null: the room was empty.
 * @property polite the role in the W3C's "perfect negotiation".
 */
public data class Room(val roomId: String, val peer: Participant?, val polite: Boolean)

/** Why the peer left; the numbers are the contract's. */
public enum class Departure(internal val number: Int) {
    /** Not said, or only a newer server says it. */
    UNSPECIFIED(0),

    /** They hung up. */
    LEFT(1),

    /** Their connection ended without a hang-up. */
    DISCONNECTED(2),

    /** They lost the state of the call: they join again, and the two negotiate again. */
    REPLACED(3),
}

/** What happens in a call: what [Connection.events] emits. */
public sealed interface Event

/** The peer joined the room. */
public data class PeerJoined(val participant: Participant) : Event

/** The peer is gone. */
public data class PeerLeft(val participant: Participant, val reason: Departure) : Event

/** The peer's SDP offer. */
public data class Offer(val sdp: String, val sender: Participant) : Event

/** The peer's SDP answer. */
public data class Answer(val sdp: String, val sender: Participant) : Event

/**
 * An ICE candidate, to send or received: the W3C's RTCIceCandidateInit.
 *
 * null is absent, which differs from empty and from 0.
 *
 * @property candidate the candidate-attribute; empty: no more will follow.
 * @property sdpMid the `mid` of the media description it belongs to.
 * @property sdpMLineIndex that one's index, from 0.
 * @property usernameFragment the ICE username fragment of its generation.
 * @property sender who it came from; of no effect on one to send.
 */
public data class Candidate(
    val candidate: String,
    val sdpMid: String? = null,
    val sdpMLineIndex: Int? = null,
    val usernameFragment: String? = null,
    val sender: Participant? = null,
) : Event

/** The connection broke and the client is reconnecting. Frames sent now go out afterwards. */
public data object Reconnecting : Event

/**
 * The connection is back.
 *
 * @property room where this participant is.
 * @property resumed nothing was lost. Otherwise the call starts over: frames under way are lost,
 *   and the two negotiate again.
 */
public data class Reconnected(val room: Room, val resumed: Boolean) : Event
