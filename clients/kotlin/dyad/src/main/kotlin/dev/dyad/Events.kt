package dev.dyad

/**
 * A user in a room, as named by the app's token.
 *
 * @property userId the token's `sub`.
 * @property email the token's `email`; empty if it has none.
 */
public data class Participant(val userId: String, val email: String = "")

/**
 * A room that this participant has entered.
 *
 * @property roomId what the other participant needs to join.
 * @property peer the participant already there, or null if the room was empty.
 * @property polite this participant's role in the W3C's "perfect negotiation".
 */
public data class Room(val roomId: String, val peer: Participant?, val polite: Boolean)

/** Why the peer left; the numbers are the contract's. */
public enum class Departure(internal val number: Int) {
    /** The server gave no reason, or one that only a newer server knows. */
    UNSPECIFIED(0),

    /** They hung up. */
    LEFT(1),

    /** Their connection ended without a hang-up. */
    DISCONNECTED(2),

    /** They lost the state of the call and join again. Negotiate again. */
    REPLACED(3),
}

/** Something that happened in a call. [Connection.events] emits it. */
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
 * An ICE candidate, sent or received: the W3C's RTCIceCandidateInit.
 *
 * null means absent, which differs from empty and from 0.
 *
 * @property candidate the candidate-attribute. An empty text marks their end.
 * @property sdpMid the `mid` of the media description it belongs to.
 * @property sdpMLineIndex the index of that media description, from 0.
 * @property usernameFragment the ICE username fragment of its generation.
 * @property sender the participant who sent it. Sending ignores it.
 */
public data class Candidate(
    val candidate: String,
    val sdpMid: String? = null,
    val sdpMLineIndex: Int? = null,
    val usernameFragment: String? = null,
    val sender: Participant? = null,
) : Event

/** The connection broke and the client is reconnecting. Frames sent meanwhile wait. */
public data object Reconnecting : Event

/**
 * The client has reconnected, and is in the room again.
 *
 * @property room that room, and who else is in it now.
 * @property resumed whether no frame was lost. If not, this is a new session: frames under way are
 *   lost. Negotiate again.
 */
public data class Reconnected(val room: Room, val resumed: Boolean) : Event
