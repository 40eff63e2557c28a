package dev.dyad.peer

import dev.dyad.Answer
import dev.dyad.Candidate
import dev.dyad.Connection
import dev.dyad.Event
import dev.dyad.Offer
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.launch

/** Which of the two descriptions of a negotiation. */
public enum class Kind {
    OFFER,
    ANSWER,
}

/** What a [Peer] needs of the WebRTC library's peer connection. */
public interface PeerConnection {
    /** Make an offer, without setting it. */
    public suspend fun createOffer(restartIce: Boolean): String

    /** Make an answer, without setting it. */
    public suspend fun createAnswer(): String

    /** Set the local description. */
    public suspend fun setLocal(kind: Kind, sdp: String)

    /** Set the remote description. */
    public suspend fun setRemote(kind: Kind, sdp: String)

    /** Add a candidate of the other side. */
    public fun addCandidate(candidate: Candidate)
}

/**
 * Negotiates one peer connection with one peer, from either side, by the W3C's
 * [perfect negotiation](https://www.w3.org/TR/webrtc/#perfect-negotiation-example).
 *
 * It differs in one thing: the polite side sets its own offer only when that is answered, so it has
 * nothing to roll back when both sides offer at once. After a rollback, some versions of libwebrtc
 * show no remote video.
 *
 * Make one when the peer is there: after `join`, or at `PeerJoined`. Make another one, with another
 * peer connection, for the next peer and after `Reconnected` with `resumed` false. Any thread may
 * call its functions; they return at once.
 *
 * @param connection carries the negotiation.
 * @param polite `polite` of the room.
 * @param media the peer connection.
 * @param scope the negotiation lives in it. Cancel it to stop.
 * @param failed is told if a step failed. The next offer, from either side, may succeed. But after
 *   a description that it cannot use, libwebrtc may accept no other: leave the room and join it
 *   again, so that both sides begin with a new peer connection.
 */
public class Peer(
    private val connection: Connection,
    private val polite: Boolean,
    private val media: PeerConnection,
    scope: CoroutineScope,
    private val failed: (Exception) -> Unit,
) {
    private class Offered(val sdp: String, val restartsIce: Boolean)

    // Only the coroutine of `steps` uses these.
    private var offered: Offered? = null
    private var offerAgain = false
    private var restartIce = false
    private val steps = Channel<suspend () -> Unit>(Channel.UNLIMITED)

    init {
        scope.launch { for (step in steps) run(step) }
    }

    /** The peer connection needs a negotiation: a track or a data channel was added. */
    public fun negotiationNeeded(): Unit = later { offer() }

    /** Negotiate new paths: the path to the other side is lost, or the network has changed. */
    public fun restartIce(): Unit = later {
        restartIce = true
        offer()
    }

    /** The peer connection found a candidate of this side. */
    public fun found(candidate: Candidate): Unit = later { connection.sendCandidate(candidate) }

    /** Handle an event of the connection. It ignores those that are not about the negotiation. */
    public fun take(event: Event) {
        when (event) {
            is Offer -> later { takeOffer(event.sdp) }
            is Answer -> later { takeAnswer(event.sdp) }
            is Candidate -> later { media.addCandidate(event) }
            else -> {}
        }
    }

    private fun later(step: suspend () -> Unit) {
        steps.trySend(step)
    }

    private suspend fun run(step: suspend () -> Unit) {
        try {
            step()
        } catch (failure: Exception) {
            currentCoroutineContext().ensureActive()
            failed(failure)
        }
    }

    private suspend fun offer() {
        if (offered != null) {
            offerAgain = true
            return
        }
        val mine = Offered(media.createOffer(restartIce), restartIce)
        if (!polite) media.setLocal(Kind.OFFER, mine.sdp)
        restartIce = false
        offered = mine
        connection.sendOffer(mine.sdp)
    }

    private suspend fun takeOffer(sdp: String) {
        offered?.let {
            // The other side is polite, and drops the offer that crossed this side's.
            if (!polite) return
            offered = null
            offerAgain = true
            restartIce = restartIce || it.restartsIce
        }
        media.setRemote(Kind.OFFER, sdp)
        val answer = media.createAnswer()
        media.setLocal(Kind.ANSWER, answer)
        connection.sendAnswer(answer)
        settled()
    }

    private suspend fun takeAnswer(sdp: String) {
        // It may answer an offer that this side has dropped.
        val mine = offered ?: return
        offered = null
        if (polite) media.setLocal(Kind.OFFER, mine.sdp)
        media.setRemote(Kind.ANSWER, sdp)
        settled()
    }

    private suspend fun settled() {
        if (!offerAgain) return
        offerAgain = false
        offer()
    }
}
