package dev.dyad.pair

import dev.dyad.Answer
import dev.dyad.Candidate
import dev.dyad.Connection
import dev.dyad.Departure
import dev.dyad.Ended
import dev.dyad.Event
import dev.dyad.Offer
import dev.dyad.PeerJoined
import dev.dyad.PeerLeft
import dev.dyad.Reconnected
import dev.dyad.Reconnecting
import dev.dyad.Refused
import dev.dyad.Room
import dev.dyad.TooLarge
import java.io.PrintStream
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put

/** The scenario did not go as written. The sentence says where. */
internal class Deviation(sentence: String) : Exception(sentence)

/** One side of a call. It does what the scenario says, and prints what happens. */
internal class Side(private val connection: Connection, private val out: PrintStream) {
    private var offers = 0
    private var answers = 0
    private var candidates = 0

    suspend fun create(): Room =
        connection.create().also { print("created") { put("room", it.roomId) } }

    suspend fun join(roomId: String): Room =
        connection.join(roomId).also {
            print("joined") {
                put("room", it.roomId)
                put("polite", it.polite)
                put("peer", it.peer?.userId)
            }
        }

    suspend fun leave() {
        connection.leave()
        print("left")
    }

    suspend fun detach() {
        connection.detach()
        print("detached")
    }

    /** If this side's connection is cut, close. Otherwise the peer does. */
    suspend fun closeWhenCut() {
        when (val event = nextEvent()) {
            is Reconnecting -> {
                print("closing")
                connection.close()
                print("closed")
            }
            is PeerLeft -> {
                checkLeft(event)
                leave()
            }
            else -> throw Deviation("${name(event)} came instead of a loss or a hang-up.")
        }
    }

    /** Wait until the connection broke and the client is back. */
    suspend fun expectReconnected() {
        for (expected in listOf(Reconnecting::class, Reconnected::class)) {
            val event = nextEvent()
            if (!expected.isInstance(event)) {
                throw Deviation("${name(event)} came instead of ${expected.simpleName}.")
            }
        }
    }

    /** Wait until the call ends by itself. That is thrown. */
    suspend fun expectEnd() {
        throw Deviation("${name(nextEvent())} came instead of the end.")
    }

    suspend fun expectTooLarge(send: suspend () -> Unit) {
        try {
            send()
        } catch (_: TooLarge) {
            return print("too_large")
        }
        throw Deviation("The client did not refuse the large frame.")
    }

    suspend fun expectOffer(sdp: String): Unit =
        next<Offer> { if (it.sdp != sdp) throw Deviation("The offer is changed.") }

    suspend fun expectAnswer(sdp: String): Unit =
        next<Answer> { if (it.sdp != sdp) throw Deviation("The answer is changed.") }

    suspend fun expectCandidates(all: List<Candidate>): Unit =
        all.forEachIndexed { index, expected ->
            next<Candidate> {
                if (it.copy(sender = null, roomId = "") != expected) {
                    throw Deviation("Candidate ${index + 1} is not the expected one.")
                }
            }
        }

    suspend fun expectPeerJoined(): Unit = next<PeerJoined> {}

    suspend fun expectPeerLeft(): Unit = next<PeerLeft>(::checkLeft)

    fun show(refused: Refused): Unit = print("refused") { put("code", refused.code.name) }

    fun show(ended: Ended): Unit =
        print("ended") {
            put("code", ended.code.name)
            put("retry", ended.shouldRetry)
        }

    private suspend inline fun <reified E : Event> next(check: (E) -> Unit) {
        while (true) {
            val event = nextEvent()
            if (event is Reconnecting || event is Reconnected) continue
            check(
                event as? E
                    ?: throw Deviation("${name(event)} came instead of ${E::class.simpleName}.")
            )
            return
        }
    }

    private suspend fun nextEvent(): Event {
        val event =
            connection.events.firstOrNull() ?: throw Deviation("The events ended too early.")
        show(event)
        return event
    }

    private fun checkLeft(event: PeerLeft) {
        if (event.reason != Departure.LEFT) throw Deviation("The peer did not hang up.")
    }

    private fun show(event: Event) {
        when (event) {
            is PeerJoined -> print("peer_joined") { put("peer", event.participant.userId) }
            is PeerLeft -> print("peer_left") { put("reason", event.reason.name) }
            is Offer -> shown("offer", ++offers, "sdp", event.sdp)
            is Answer -> shown("answer", ++answers, "sdp", event.sdp)
            is Candidate -> shown("candidate", ++candidates, "candidate", event.candidate)
            is Reconnecting -> print("reconnecting")
            is Reconnected -> {
                print("reconnected") { put("resumed", event.resumed) }
                if (!event.resumed) throw Deviation("The seat was lost.")
            }
            is Refused -> show(event)
        }
    }

    private fun shown(event: String, n: Int, key: String, value: String) =
        print(event) {
            put("n", n)
            put(key, value)
        }

    private fun name(event: Event): String? = event::class.simpleName

    private fun print(event: String, fill: JsonObjectBuilder.() -> Unit = {}) {
        val line = buildJsonObject {
            put("event", event)
            fill()
        }
        out.println(line)
        out.flush()
    }
}
