package dev.dyad

import io.grpc.InsecureChannelCredentials
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test

internal class ReconnectTest {
    // The grace time is long enough to reconnect on a busy machine, and short enough to wait for.
    private val server = Server("--resume-grace", "3")
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @Test
    fun `cuts in the middle of a call lose and duplicate nothing`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val roomId = meet(alice, bob)
        val expected = List(300) { "candidate:$it" }
        for (sender in listOf(alice, bob)) {
            launch {
                for (candidate in expected) {
                    sender.sendCandidate(Candidate(candidate))
                    // Slowly, so that the cuts are in the middle.
                    delay(2)
                }
            }
        }
        val alices = async { hear(alice, expected.size) }
        val bobs = async {
            hear(bob, expected.size) { heard -> if (heard in listOf(50, 150, 250)) cable.cut() }
        }
        assertEquals(expected, alices.await().candidates())
        val bobsEvents = bobs.await()
        assertEquals(expected, bobsEvents.candidates())
        assertEquals(emptyList(), alices.await().filter { it !is Candidate })
        val back = bobsEvents.filterIsInstance<Reconnected>()
        assertEquals(3, back.size)
        assertTrue(back.all { it.resumed && it.room.roomId == roomId })
        assertEquals(3, bobsEvents.count { it is Reconnecting })
        alice.close()
        bob.close()
    }

    @Test
    fun `frames sent on both sides while one is disconnected arrive afterwards`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        bob.sendOffer("from afar")
        alice.sendCandidate(Candidate("meanwhile"))
        cable.mend()
        assertTrue(bob.next<Reconnected>().resumed)
        assertEquals("meanwhile", bob.next<Candidate>().candidate)
        assertEquals("from afar", alice.next<Offer>().sdp)
        alice.close()
        bob.close()
    }

    @Test
    fun `the room is the same after a resume`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val roomId = alice.create().roomId
        val room = bob.join(roomId)
        cable.cut()
        bob.next<Reconnecting>()
        assertEquals(Reconnected(room, resumed = true), bob.next())
        alice.close()
        bob.close()
    }

    @Test
    fun `a hang-up while disconnected is delivered`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        val leaving = launch { bob.leave() }
        cable.mend()
        leaving.join()
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        alice.close()
        bob.close()
    }

    @Test
    fun `a hang-up succeeds if the seat is gone, and another room may be entered`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        val leaving = launch { bob.leave() }
        assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
        cable.mend()
        leaving.join()
        assertEquals(emptyList(), bob.events.toList())
        alice.leave()
        alice.join(bob.create().roomId)
        bob.next<PeerJoined>()
        alice.close()
        bob.close()
    }

    @Test
    fun `if the seat is gone the client joins again, and frames under way are dropped`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val roomId = meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        bob.sendOffer("of the old session")
        assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
        cable.mend()
        val back = bob.next<Reconnected>()
        assertFalse(back.resumed)
        assertEquals(roomId, back.room.roomId)
        assertEquals("alice", back.room.peer?.userId)
        alice.next<PeerJoined>()
        bob.sendOffer("of the new session")
        assertEquals("of the new session", alice.next<Offer>().sdp)
        // Something must get through to Bob, or the next break belongs to the same attempt.
        alice.sendAnswer("of the new session")
        bob.next<Answer>()
        // The new seat is resumable like the old one.
        cable.cut()
        bob.next<Reconnecting>()
        assertTrue(bob.next<Reconnected>().resumed)
        alice.close()
        bob.close()
    }

    @Test
    fun `the connection ends if the room is gone too`() = test {
        val bob = server.connect(this, "bob", cable.target)
        val alice = server.connect(this, "alice")
        meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        alice.next<PeerLeft>()
        alice.leave()
        cable.mend()
        val ended = assertFailsWith<TakenOver> { bob.events.toList() }
        assertEquals(Refusal.ROOM_NOT_FOUND, assertIs<Refused>(ended.cause).code)
        assertFalse(ended.shouldRetry)
        alice.close()
    }

    @Test
    fun `without a resumable seat a broken connection is over`() = test {
        val bob = server.connect(this, "bob", cable.target)
        bob.create(resumable = false)
        cable.cut()
        assertTrue(assertFailsWith<Unavailable> { bob.events.toList() }.shouldRetry)
    }

    @Test
    fun `a server that drains says when to reconnect`() = test {
        val bob = server.connect(this, "bob", giveUpAfter = 0.seconds)
        bob.create()
        server.drain()
        val ended = assertFailsWith<Unavailable> { bob.events.toList() }
        assertTrue(assertNotNull(ended.retryAfter) > 0.seconds)
    }

    @Test
    fun `the client gives up after the time that the app chose`() = test {
        val bob = server.connect(this, "bob", cable.target, giveUpAfter = 1.seconds)
        bob.create()
        val took = measureTime {
            cable.cutForGood()
            bob.next<Reconnecting>()
            assertFailsWith<Unavailable> { bob.events.toList() }
        }
        // By default it would be a minute.
        assertTrue(took < 30.seconds, "It took $took.")
    }

    @Test
    fun `each try asks for a fresh token, and only one refused or empty token is allowed`() = test {
        val good = server.token("bob")
        val tokens = ArrayDeque(listOf(good, "not a token", good, "", ""))
        val bob =
            Dyad.connect(cable.target, this, InsecureChannelCredentials.create()) {
                tokens.removeFirst()
            }
        bob.create()
        cable.cut()
        bob.next<Reconnecting>()
        assertTrue(bob.next<Reconnected>().resumed)
        // A frame must get through, or the next break belongs to the same attempt.
        bob.sendOffer("to nobody")
        bob.next<Refused>()
        cable.cut()
        bob.next<Reconnecting>()
        assertFailsWith<Unauthenticated> { bob.events.toList() }
        assertEquals(emptyList(), tokens)
    }

    @Test
    fun `after giving up, the app sees its own token error as the cause`() = test {
        val tokens = ArrayDeque(listOf(server.token("bob")))
        val bob =
            Dyad.connect(
                cable.target,
                this,
                InsecureChannelCredentials.create(),
                giveUpAfter = 1.seconds,
            ) {
                tokens.removeFirstOrNull() ?: throw NotImplementedError("sign in")
            }
        bob.create()
        cable.cut()
        bob.next<Reconnecting>()
        val ended = assertFailsWith<Unavailable> { bob.events.toList() }
        assertIs<NotImplementedError>(ended.cause)
    }

    @Test
    fun `an app that could not get a token is asked again`() = test {
        val good = server.token("bob")
        val tokens = ArrayDeque(listOf(good, null, null, good))
        val bob =
            Dyad.connect(cable.target, this, InsecureChannelCredentials.create()) {
                checkNotNull(tokens.removeFirst()) { "offline" }
            }
        bob.create()
        cable.cut()
        bob.next<Reconnecting>()
        assertTrue(bob.next<Reconnected>().resumed)
        bob.close()
    }

    @Test
    fun `the client reconnects at once when the app reports a new network`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        cable.silence()
        bob.networkChanged()
        val took = measureTime {
            bob.next<Reconnecting>()
            assertTrue(bob.next<Reconnected>().resumed)
        }
        // That is sooner than an unanswered ping would be noticed.
        assertTrue(took < 10.seconds, "It took $took.")
        bob.sendOffer("an offer")
        alice.next<Offer>()
        alice.close()
        bob.close()
    }

    @Test
    fun `a network that falls silent is noticed by the unanswered ping`() = test {
        Server("--resume-grace", "30").use { patient ->
            Cable(patient.port).use { cable ->
                val bob = patient.connect(this, "bob", cable.target)
                bob.create()
                cable.silence()
                val took = measureTime { bob.next<Reconnecting>() }
                assertTrue(took < 15.seconds, "It took $took.")
                assertTrue(bob.next<Reconnected>().resumed)
                bob.close()
            }
        }
    }

    private suspend fun hear(
        connection: Connection,
        candidates: Int,
        heard: (Int) -> Unit = {},
    ): List<Event> {
        val events = mutableListOf<Event>()
        var count = 0
        while (count < candidates) {
            val event = connection.next<Event>()
            events += event
            if (event is Candidate) heard(++count)
        }
        return events
    }

    private fun List<Event>.candidates(): List<String> =
        filterIsInstance<Candidate>().map { it.candidate }
}
