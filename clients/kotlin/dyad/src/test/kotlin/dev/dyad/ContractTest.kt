package dev.dyad

import dev.dyad.testing.FakeServer
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test

private const val NO_ROOM = "11111111-1111-4111-8111-111111111111"

/** What a client sees is the same with the server and with the fake of `dev.dyad.testing`. */
internal abstract class ContractTest {
    abstract fun connect(scope: CoroutineScope, user: String): Connection

    abstract fun disconnect(user: String)

    @Test
    fun `a call, and the next one`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        val created = alice.create()
        assertFalse(created.polite)
        val joined = bob.join(created.roomId.uppercase())
        assertEquals(created.roomId, joined.roomId)
        assertEquals("alice", joined.peer?.userId)
        assertTrue(joined.polite)
        assertEquals("bob", alice.next<PeerJoined>().participant.userId)
        alice.sendOffer("an offer")
        assertEquals("an offer", bob.next<Offer>().sdp)
        bob.sendAnswer("an answer")
        assertEquals("bob", alice.next<Answer>().sender.userId)
        val candidate = Candidate("candidate", null, 0, "")
        alice.sendCandidate(candidate)
        assertEquals(candidate, bob.next<Candidate>().copy(sender = null, roomId = ""))
        bob.leave()
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        val carol = connect(this, "carol")
        assertTrue(carol.join(created.roomId).polite)
        alice.next<PeerJoined>()
        // The role that is free is now the impolite one.
        alice.leave()
        assertFalse(alice.join(created.roomId).polite)
        listOf(alice, carol).forEach { it.close() }
    }

    @Test
    fun `what is refused`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        val carol = connect(this, "carol")
        assertEquals(Refusal.ROOM_NOT_FOUND, assertFailsWith<Refused> { bob.join(NO_ROOM) }.code)
        val roomId = alice.create().roomId
        alice.sendOffer("to nobody")
        assertEquals(Refusal.PEER_ABSENT, alice.next<Refused>().code)
        bob.join(roomId)
        assertEquals(Refusal.ROOM_FULL, assertFailsWith<Refused> { carol.join(roomId) }.code)
        listOf(alice, bob).forEach { it.close() }
    }

    @Test
    fun `a connection that breaks loses nothing`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        meet(alice, bob)
        disconnect("bob")
        repeat(50) { alice.sendCandidate(Candidate("candidate:$it")) }
        bob.next<Reconnecting>()
        bob.sendOffer("meanwhile")
        assertTrue(bob.next<Reconnected>().resumed)
        repeat(50) { assertEquals("candidate:$it", bob.next<Candidate>().candidate) }
        assertEquals("meanwhile", alice.next<Offer>().sdp)
        listOf(alice, bob).forEach { it.close() }
    }

    @Test
    fun `another device of the same user takes the seat`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        val roomId = meet(alice, bob)
        val phone = connect(this, "bob")
        assertEquals("alice", phone.join(roomId).peer?.userId)
        assertEquals(Departure.REPLACED, alice.next<PeerLeft>().reason)
        alice.next<PeerJoined>()
        assertFalse(assertFailsWith<TakenOver> { bob.events.toList() }.shouldRetry)
        listOf(alice, phone).forEach { it.close() }
    }

    @Test
    fun `without a resumable seat the peer is told of a broken connection`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        meet(alice, bob, resumable = false)
        disconnect("bob")
        assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
        assertFailsWith<Unavailable> { bob.events.toList() }
        alice.close()
    }
}

internal class RealContractTest : ContractTest() {
    private val server = Server()
    private val cables = mutableMapOf<String, Cable>()

    @AfterEach
    fun stop() {
        cables.values.forEach { it.close() }
        server.close()
    }

    override fun connect(scope: CoroutineScope, user: String): Connection =
        server.connect(scope, user, cables.getOrPut(user) { Cable(server.port) }.target)

    override fun disconnect(user: String) = cables.getValue(user).cut()
}

internal class FakeContractTest : ContractTest() {
    private val server = FakeServer()

    @AfterEach fun stop() = server.close()

    override fun connect(scope: CoroutineScope, user: String): Connection =
        Dyad.connect(server.channel, scope) { user }

    override fun disconnect(user: String) = server.disconnect(user)

    @Test
    fun `a client whose seat is forgotten joins again, and both are told`() = test {
        val alice = connect(this, "alice")
        val bob = connect(this, "bob")
        meet(alice, bob)
        server.forget("bob")
        assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
        bob.next<Reconnecting>()
        assertFalse(bob.next<Reconnected>().resumed)
        alice.next<PeerJoined>()
        listOf(alice, bob).forEach { it.close() }
    }
}
