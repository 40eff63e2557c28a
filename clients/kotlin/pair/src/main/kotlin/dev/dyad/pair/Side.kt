package dev.dyad.pair

import dev.dyad.Answer
import dev.dyad.Candidate
import dev.dyad.Connection
import dev.dyad.Ended
import dev.dyad.Event
import dev.dyad.Offer
import dev.dyad.PeerJoined
import dev.dyad.PeerLeft
import dev.dyad.Reconnected
import dev.dyad.Reconnecting
import dev.dyad.Refused
import dev.dyad.Room
import java.io.PrintStream
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.coroutines.flow.toList
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

    /** Hang up. No event may be left that the scenario has not received. */
    suspend fun leave() {
        connection.leave()
        print("left")
        connection.events.toList().forEach { event ->
            show(event)
            throw Deviation("${name(event)} came after the last event of the scenario.")
        }
    }

    suspend fun expectOffer(sdp: String): Unit =
        next<Offer> { if (it.sdp != sdp) throw Deviation("The offer is changed.") }

    suspend fun expectAnswer(sdp: String): Unit =
        next<Answer> { if (it.sdp != sdp) throw Deviation("The answer is changed.") }

    suspend fun expectCandidates(all: List<Candidate>): Unit =
        all.forEachIndexed { index, expected ->
            next<Candidate> {
                if (it.copy(sender = null) != expected) {
                    throw Deviation("Candidate ${index + 1} is not the expected one.")
                }
            }
        }

    suspend fun expectPeerJoined(): Unit = next<PeerJoined> {}

    suspend fun expectPeerLeft(): Unit =
        next<PeerLeft> {
            if (it.reason.name != "LEFT") throw Deviation("The peer did not hang up.")
        }

    fun show(refused: Refused): Unit = print("refused") { put("code", refused.code.name) }

    fun show(ended: Ended): Unit =
        print("ended") {
            put("code", ended.code.name)
            put("retry", ended.shouldRetry)
        }

    private suspend inline fun <reified E : Event> next(check: (E) -> Unit) {
        while (true) {
            val event =
                connection.events.firstOrNull() ?: throw Deviation("The events ended too early.")
            show(event)
            if (event is Reconnecting || event is Reconnected) continue
            check(
                event as? E
                    ?: throw Deviation("${name(event)} came instead of ${E::class.simpleName}.")
            )
            return
        }
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
