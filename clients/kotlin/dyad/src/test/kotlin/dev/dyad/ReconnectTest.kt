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
    // Long enough to reconnect on a busy machine, and short enough to wait for its end.
    private val server = Server("--resume-grace", "3")
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @Test
    fun `a cut in the middle of a call loses nothing and doubles nothing`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val roomId = meet(alice, bob)
        val expected = List(300) { "candidate:$it" }
        for (sender in listOf(alice, bob)) {
            launch {
                for (candidate in expected) {
                    sender.sendCandidate(Candidate(candidate))
                    // One after another, so that cuts fall in between.
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
    fun `what is sent on both sides while one is away arrives afterwards`() = test {
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
    fun `the room after a return is as it was`() = test {
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
    fun `a hang-up while away is delivered`() = test {
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
    fun `a hang-up whose seat is gone has left, and another room may be entered`() = test {
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
    fun `a seat that is gone is entered anew, and what belonged to it is dropped`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val roomId = meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        bob.sendOffer("of the call that was")
        assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
        cable.mend()
        val back = bob.next<Reconnected>()
        assertFalse(back.resumed)
        assertEquals(roomId, back.room.roomId)
        assertEquals("alice", back.room.peer?.userId)
        alice.next<PeerJoined>()
        bob.sendOffer("of the call that is")
        assertEquals("of the call that is", alice.next<Offer>().sdp)
        // The new seat is as good as the old one.
        cable.cut()
        bob.next<Reconnecting>()
        assertTrue(bob.next<Reconnected>().resumed)
        alice.close()
        bob.close()
    }

    @Test
    fun `a room that is gone is the end`() = test {
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
    fun `without a resumable seat a cut is the end`() = test {
        val bob = server.connect(this, "bob", cable.target)
        bob.create(resumable = false)
        cable.cut()
        assertTrue(assertFailsWith<Unavailable> { bob.events.toList() }.shouldRetry)
    }

    @Test
    fun `a server that goes away says when to reconnect`() = test {
        val bob = server.connect(this, "bob", giveUpAfter = 0.seconds)
        bob.create()
        server.drain()
        val ended = assertFailsWith<Unavailable> { bob.events.toList() }
        assertTrue(assertNotNull(ended.retryAfter) > 0.seconds)
    }

    @Test
    fun `a server that stays away is given up on`() = test {
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
    fun `a fresh token is asked for before each try, and a bad one forgiven once`() = test {
        val good = server.token("bob")
        val tokens = ArrayDeque(listOf(good, "not a token", good, "not a token", "not a token"))
        val bob =
            Dyad.connect(cable.target, this, InsecureChannelCredentials.create()) {
                tokens.removeFirst()
            }
        bob.create()
        cable.cut()
        bob.next<Reconnecting>()
        assertTrue(bob.next<Reconnected>().resumed)
        // Something has to get on, or it is still the same attempt.
        bob.sendOffer("to nobody")
        bob.next<Refused>()
        cable.cut()
        bob.next<Reconnecting>()
        assertFailsWith<Unauthenticated> { bob.events.toList() }
        assertEquals(emptyList(), tokens)
    }

    @Test
    fun `a token that cannot be had is asked for again`() = test {
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
    fun `a network that changed is left at once`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        cable.silence()
        bob.networkChanged()
        val took = measureTime {
            bob.next<Reconnecting>()
            assertTrue(bob.next<Reconnected>().resumed)
        }
        // Sooner than a ping that is not answered would tell.
        assertTrue(took < 10.seconds, "It took $took.")
        bob.sendOffer("an offer")
        alice.next<Offer>()
        alice.close()
        bob.close()
    }

    @Test
    fun `a network that went without a word is noticed by what does not come back`() = test {
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

    @Test
    fun `closing while away does not wait for the return`() = test {
        val bob = server.connect(this, "bob", cable.target)
        bob.create()
        cable.cutForGood()
        bob.next<Reconnecting>()
        val took = measureTime { bob.close() }
        assertTrue(took < 30.seconds, "It took $took.")
        assertEquals(emptyList(), bob.events.toList())
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
