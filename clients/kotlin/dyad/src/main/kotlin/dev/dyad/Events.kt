package dev.dyad

/**
 * A user in a room, as named by the app's token.
 *
 * @property userId the token's `sub`.
 * @property email the token's `email`; empty if it has none. [toString] does not show it.
 */
public data class Participant(val userId: String, val email: String = "") {
    override fun toString(): String = "Participant($userId)"
}

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

/**
 * Something that happened in a call. [Connection.events] emits it.
 *
 * `toString` of an event never shows SDP, a candidate or an e-mail address.
 */
public sealed interface Event {
    /** The room it happened in. */
    public val roomId: String
}

/** The peer joined the room. */
public data class PeerJoined(override val roomId: String, val participant: Participant) : Event

/** The peer is gone. */
public data class PeerLeft(
    override val roomId: String,
    val participant: Participant,
    val reason: Departure,
) : Event

/** The peer's SDP offer. */
public data class Offer(override val roomId: String, val sdp: String, val sender: Participant) :
    Event {
    override fun toString(): String = "Offer($roomId, ${sdp.length} characters, $sender)"
}

/** The peer's SDP answer. */
public data class Answer(override val roomId: String, val sdp: String, val sender: Participant) :
    Event {
    override fun toString(): String = "Answer($roomId, ${sdp.length} characters, $sender)"
}

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
 * @property roomId the room it was sent in. Sending ignores it.
 */
public data class Candidate(
    val candidate: String,
    val sdpMid: String? = null,
    val sdpMLineIndex: Int? = null,
    val usernameFragment: String? = null,
    val sender: Participant? = null,
    override val roomId: String = "",
) : Event {
    override fun toString(): String =
        "Candidate($roomId, ${candidate.length} characters, mid $sdpMid, $sender)"
}

/**
 * The connection broke and the client is reconnecting. Frames sent meanwhile wait.
 *
 * @property cause why it broke.
 */
public data class Reconnecting(override val roomId: String, val cause: Ended) : Event

/**
 * The client has reconnected, and is in the room again.
 *
 * @property room that room, and who else is in it now.
 * @property resumed whether no frame was lost. If not, this is a new session: frames under way are
 *   lost. Negotiate again, in the role that [room] says.
 */
public data class Reconnected(val room: Room, val resumed: Boolean) : Event {
    override val roomId: String
        get() = room.roomId
}
