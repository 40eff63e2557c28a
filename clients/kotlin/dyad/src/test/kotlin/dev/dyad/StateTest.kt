package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNotEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test

internal class StateTest {
    private val server = Server()
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @Test
    fun `the state follows the connection`() = test {
        val alice = server.connect(this, "alice", cable.target)
        val states = mutableListOf<ConnectionState>()
        val listening = launch(Dispatchers.Unconfined) { alice.state.collect { states += it } }
        alice.create()
        cable.cutForGood()
        val reconnecting =
            assertIs<ConnectionState.Reconnecting>(
                alice.state.first { it is ConnectionState.Reconnecting && it.attempt > 1 }
            )
        assertIs<Unavailable>(reconnecting.cause)
        cable.mend()
        alice.state.first { it == ConnectionState.Connected }
        alice.leave()
        assertEquals(ConnectionState.Idle, alice.state.value)
        alice.create()
        alice.close()
        assertEquals(ConnectionState.Ended(null), alice.state.value)
        listening.cancel()
        val names = states.map { it::class.simpleName }
        val once = names.filterIndexed { index, name -> index == 0 || name != names[index - 1] }
        assertEquals(
            listOf("Idle", "Connecting", "Connected", "Reconnecting", "Connected") +
                listOf("Idle", "Connecting", "Connected", "Ended"),
            once,
        )
    }

    @Test
    fun `each stream has an id that the app can show`() = test {
        val alice = server.connect(this, "alice", cable.target)
        assertEquals("", alice.streamId)
        alice.create()
        val first = alice.streamId
        assertTrue(Regex("[0-9a-f]{16}").matches(first), first)
        cable.cutForGood()
        alice.state.first { it is ConnectionState.Reconnecting }
        cable.mend()
        alice.state.first { it == ConnectionState.Connected }
        val second = alice.streamId
        assertTrue(Regex("[0-9a-f]{16}").matches(second), second)
        assertNotEquals(first, second)
        alice.close()
        assertEquals(second, alice.streamId)
    }

    @Test
    fun `a listener of the state may use the connection`() = test {
        val alice = server.connect(this, "alice", cable.target)
        val bob = server.connect(this, "bob")
        val roomId = bob.create().roomId
        val sending =
            launch(Dispatchers.Unconfined) {
                alice.state.first { it == ConnectionState.Connected }
                alice.sendOffer("at once")
            }
        alice.join(roomId)
        bob.next<PeerJoined>()
        assertEquals("at once", bob.next<Offer>().sdp)
        sending.join()
        alice.close()
        bob.close()
    }

    @Test
    fun `a call that ended with an error says so, and the app may call again`() = test {
        var token = "not a token"
        val alice =
            Dyad.connect(cable.target, this, io.grpc.InsecureChannelCredentials.create()) { token }
        val ended = assertFailsWith<Unauthenticated> { alice.create() }
        assertEquals(ConnectionState.Ended(ended), alice.state.value)
        token = server.token("alice")
        alice.create()
        assertEquals(ConnectionState.Connected, alice.state.value)
        alice.close()
    }

    @Test
    fun `several collectors get every event`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        val collectors =
            List(3) { async(start = CoroutineStart.UNDISPATCHED) { bob.events.take(20).toList() } }
        meet(alice, bob)
        repeat(20) { alice.sendCandidate(Candidate("candidate:$it")) }
        for (collector in collectors) {
            assertEquals(
                List(20) { "candidate:$it" },
                collector.await().map { assertIs<Candidate>(it).candidate },
            )
        }
        alice.close()
        bob.close()
    }

    @Test
    fun `a refused join is no end, and those who collect wait for the next room`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val first = async(start = CoroutineStart.UNDISPATCHED) { bob.events.first() }
        assertFailsWith<Refused> { bob.join("11111111-1111-4111-8111-111111111111") }
        assertEquals(ConnectionState.Idle, bob.state.value)
        assertTrue(first.isActive)
        alice.join(bob.create().roomId)
        assertIs<PeerJoined>(first.await())
        alice.close()
        bob.close()
    }

    @Test
    fun `the log tells what happens, and no secret or personal data`() = test {
        val lines = java.util.concurrent.ConcurrentLinkedQueue<String>()
        val alice = server.connect(this, "alice")
        val bob =
            server.connect(
                this,
                "bob",
                cable.target,
                log = { level, text -> lines += "$level $text" },
            )
        meet(alice, bob)
        cable.cut()
        bob.next<Reconnecting>()
        bob.next<Reconnected>()
        bob.sendOffer("an SDP that is secret")
        alice.next<Offer>()
        bob.close()
        assertTrue(lines.any { "Reconnecting" in it }, "$lines")
        val secrets = listOf(server.token("bob"), "@example.com", "SDP that")
        assertFalse(lines.any { line -> secrets.any { it in line } }, "$lines")
        alice.close()
    }

    @Test
    fun `a log that fails ends no call`() = test {
        val alice = server.connect(this, "alice", cable.target, log = { _, _ -> error("full") })
        alice.create()
        cable.cut()
        alice.next<Reconnecting>()
        alice.next<Reconnected>()
        alice.close()
    }

    @Test
    fun `events, rooms and participants print neither e-mail nor SDP nor candidates`() {
        val peer = Participant("bob", "bob@example.com")
        val room = Room("room", peer, polite = true)
        val printed =
            listOf(
                peer,
                room,
                PeerJoined("room", peer),
                PeerLeft("room", peer, Departure.LEFT),
                Offer("room", "the secret", peer),
                Answer("room", "the secret", peer),
                Candidate("the secret", "0", 0, "the secret", peer, "room"),
                Reconnected(room, resumed = true),
            )
        for (one in printed) {
            assertFalse("@" in "$one" || "secret" in "$one", "$one")
            assertTrue("bob" in "$one", "$one")
        }
    }
}
