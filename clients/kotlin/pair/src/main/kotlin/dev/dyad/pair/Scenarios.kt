package dev.dyad.pair

import dev.dyad.Connection
import kotlin.time.Duration
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch

private const val CALLER = "caller"
private const val CALLEE = "callee"

/** The length of an offer that no server with the default limits accepts. */
private const val TOO_LARGE = 70_000

/** Play `call`, or `cut` with a [pause] after each candidate, as the caller. */
internal suspend fun placeCall(connection: Connection, side: Side, pause: Duration) {
    side.create()
    side.expectPeerJoined()
    coroutineScope {
        launch {
            connection.sendOffer(sdp(CALLER, "offer"))
            sendCandidates(connection, CALLER, pause)
        }
        side.expectAnswer(sdp(CALLEE, "answer"))
        side.expectCandidates(candidates(CALLEE))
    }
    side.leave()
}

/** Play `call` or `cut` as the callee. */
internal suspend fun takeCall(connection: Connection, side: Side, roomId: String, pause: Duration) {
    side.join(roomId)
    side.expectOffer(sdp(CALLER, "offer"))
    coroutineScope {
        launch {
            connection.sendAnswer(sdp(CALLEE, "answer"))
            sendCandidates(connection, CALLEE, pause)
        }
        side.expectCandidates(candidates(CALLER))
    }
    side.expectPeerLeft()
    side.leave()
}

/** Play `glare` as the caller. */
internal suspend fun placeGlare(connection: Connection, side: Side) {
    val room = side.create()
    side.expectPeerJoined()
    connection.sendOffer(sdp(CALLER, "offer"))
    untangle(connection, side, room.polite, CALLER, CALLEE)
}

/** Play `glare` as the callee. */
internal suspend fun takeGlare(connection: Connection, side: Side, roomId: String) {
    val room = side.join(roomId)
    connection.sendOffer(sdp(CALLEE, "offer"))
    untangle(connection, side, room.polite, CALLEE, CALLER)
}

/** Two offers cross. The impolite side ignores the peer's, and the polite side gives up its own. */
private suspend fun untangle(
    connection: Connection,
    side: Side,
    polite: Boolean,
    role: String,
    peer: String,
) {
    side.expectOffer(sdp(peer, "offer"))
    if (polite) {
        connection.sendAnswer(sdp(role, "answer"))
        side.expectPeerLeft()
    } else {
        side.expectAnswer(sdp(peer, "answer"))
    }
    side.leave()
}

/** Play `closing` as the caller. */
internal suspend fun placeClosing(side: Side) {
    side.create()
    side.expectPeerJoined()
    side.closeWhenCut()
}

/** Play `closing` as the callee. */
internal suspend fun takeClosing(side: Side, roomId: String) {
    side.join(roomId)
    side.closeWhenCut()
}

/** Play `expiry` as the caller. */
internal suspend fun placeExpiry(connection: Connection, side: Side) {
    side.create()
    side.expectPeerJoined()
    side.expectOffer(sdp(CALLEE, "offer"))
    connection.sendAnswer(sdp(CALLER, "answer"))
    side.expectPeerLeft()
    side.leave()
}

/** Play `expiry` as the callee, whose token expires. */
internal suspend fun takeExpiry(connection: Connection, side: Side, roomId: String) {
    side.join(roomId)
    side.expectReconnected()
    connection.sendOffer(sdp(CALLEE, "offer"))
    side.expectAnswer(sdp(CALLER, "answer"))
    side.leave()
}

/** Play `taken_over`: the seat is lost to another device of the same user. */
internal suspend fun takenOver(side: Side, roomId: String) {
    side.join(roomId)
    side.expectEnd()
}

/** Play `too_large`: an offer is refused, and the next one is not. */
internal suspend fun tooLarge(connection: Connection, side: Side, roomId: String) {
    side.join(roomId)
    side.expectTooLarge { connection.sendOffer("x".repeat(TOO_LARGE)) }
    connection.sendOffer(sdp(CALLEE, "offer"))
    side.expectAnswer(sdp(CALLER, "answer"))
    side.leave()
}

/** Play `again`: leave with unread events, and enter another room. */
internal suspend fun again(side: Side, roomId: String) {
    side.join(roomId)
    side.expectCandidates(candidates(CALLER).take(1))
    side.leave()
    side.create()
    side.expectPeerJoined()
    side.leave()
}

/** Play `detach`: answer, and keep the seat for another device of the same user. */
internal suspend fun detach(connection: Connection, side: Side, roomId: String) {
    side.join(roomId)
    side.expectOffer(sdp(CALLER, "offer"))
    connection.sendAnswer(sdp(CALLEE, "answer"))
    side.detach()
}

private suspend fun sendCandidates(connection: Connection, role: String, pause: Duration) =
    candidates(role).forEach {
        connection.sendCandidate(it)
        delay(pause)
    }
