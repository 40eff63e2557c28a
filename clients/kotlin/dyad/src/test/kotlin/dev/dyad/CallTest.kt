package dev.dyad

import io.grpc.InsecureChannelCredentials
import java.io.IOException
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource

private const val NO_ROOM = "11111111-1111-4111-8111-111111111111"

internal class CallTest : OneServer() {
    @Test
    fun `a call from the first join to the last hang-up`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")

        val alices = alice.create()
        assertNull(alices.peer)
        assertFalse(alices.polite)
        val roomId = alices.roomId
        assertEquals(Room(roomId, alicesName, polite = true), bob.join(roomId))
        assertEquals(PeerJoined(roomId, bobsName), alice.next())

        alice.sendOffer("an offer")
        assertEquals(Offer(roomId, "an offer", alicesName), bob.next())
        bob.sendAnswer("an answer")
        assertEquals(Answer(roomId, "an answer", bobsName), alice.next())

        bob.leave()
        assertEquals(emptyList(), bob.events.toList())
        assertEquals(PeerLeft(roomId, bobsName, Departure.LEFT), alice.next())
        alice.leave()
        assertEquals(emptyList(), alice.events.toList())
        alice.close()
        bob.close()
    }

    @Test
    fun `a candidate arrives as it was sent, and absent fields differ from empty ones`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val roomId = meet(alice, bob)
        val candidates =
            listOf(
                Candidate("candidate:1", "0", 0, "ufrag"),
                Candidate("candidate:2", "", 0, ""),
                Candidate("candidate:3"),
                Candidate(""),
            )
        candidates.forEach { alice.sendCandidate(it) }
        assertEquals(
            candidates.map { it.copy(sender = alicesName, roomId = roomId) },
            List(candidates.size) { bob.next<Candidate>() },
        )
        alice.close()
        bob.close()
    }

    @Test
    fun `two hundred candidates sent at once arrive in order`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        repeat(200) { alice.sendCandidate(Candidate("candidate:$it")) }
        assertEquals(
            List(200) { "candidate:$it" },
            bob.events.take(200).toList().map { assertIs<Candidate>(it).candidate },
        )
        alice.close()
        bob.close()
    }

    @Test
    fun `two coroutines may send at the same time`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        listOf("a", "b").forEach { name ->
            launch(Dispatchers.Default) {
                repeat(100) { alice.sendCandidate(Candidate("$name$it")) }
            }
        }
        val heard = List(200) { bob.next<Candidate>().candidate }
        assertEquals(List(100) { "a$it" }, heard.filter { it.startsWith("a") })
        assertEquals(List(100) { "b$it" }, heard.filter { it.startsWith("b") })
        alice.close()
        bob.close()
    }

    @Test
    fun `joining a room that does not exist is refused and the connection goes on`() = test {
        val alice = server.connect(this, "alice")
        assertEquals(Refusal.ROOM_NOT_FOUND, assertFailsWith<Refused> { alice.join(NO_ROOM) }.code)
        alice.create()
        alice.close()
    }

    @Test
    fun `a third participant is refused`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val carol = server.connect(this, "carol")
        val roomId = meet(alice, bob)
        assertEquals(Refusal.ROOM_FULL, assertFailsWith<Refused> { carol.join(roomId) }.code)
        listOf(alice, bob, carol).forEach { it.close() }
    }

    @Test
    fun `a frame without a peer is refused with an event`() = test {
        val alice = server.connect(this, "alice")
        alice.create()
        alice.sendOffer("an offer")
        assertEquals(Refusal.PEER_ABSENT, alice.next<Refused>().code)
        alice.close()
    }

    @Test
    fun `sending outside a room is refused at once`() = test {
        val alice = server.connect(this, "alice")
        assertEquals(
            Refusal.NOT_IN_ROOM,
            assertFailsWith<Refused> { alice.sendOffer("an offer") }.code,
        )
        alice.close()
    }

    @Test
    fun `a participant may enter another room after leaving`() = test {
        val alice = server.connect(this, "alice")
        val first = alice.create()
        alice.leave()
        val second = alice.create()
        assertTrue(first.roomId != second.roomId)
        val bob = server.connect(this, "bob")
        bob.join(second.roomId)
        assertEquals(PeerJoined(second.roomId, bobsName), alice.next())
        alice.close()
        bob.close()
    }

    @Test
    fun `an invalid token ends the connection at once`() = test {
        val mallory =
            Dyad.connect("127.0.0.1:${server.port}", this, InsecureChannelCredentials.create()) {
                "not a token"
            }
        val ended = assertFailsWith<Unauthenticated> { mallory.create() }
        assertFalse(ended.shouldRetry)
        assertSame(ended, assertFailsWith<Unauthenticated> { mallory.events.toList() })
        assertEquals(ConnectionState.Ended(ended), mallory.state.value)
    }

    @ParameterizedTest
    @ValueSource(
        strings = ["", " ", "my room", "11111111-1111-4111-8111-11111111111g", "{$NO_ROOM}"]
    )
    fun `what is no room id is refused without the server`(text: String) = test {
        val alice = server.connect(this, "alice", "127.0.0.1:1")
        val refused = assertFailsWith<Refused> { alice.join(text) }
        assertEquals(Refusal.INVALID_FRAME, refused.code)
        assertEquals(ConnectionState.Idle, alice.state.value)
    }

    @Test
    fun `a second room is refused, and the call continues`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        assertEquals(Refusal.INVALID_FRAME, assertFailsWith<Refused> { alice.create() }.code)
        bob.sendOffer("an offer")
        alice.next<Offer>()
        alice.close()
        bob.close()
    }

    @Test
    fun `a connection without a room opens no stream`() = test {
        Cable(server.port).use { cable ->
            val alice = server.connect(this, "alice", cable.target)
            assertEquals(0, cable.connections.value)
            alice.create()
            assertEquals(1, cable.connections.value)
            alice.leave()
            cable.connections.first { it == 0 }
            alice.create()
            alice.close()
        }
    }

    @Test
    fun `an empty token is not sent`() = test {
        val mallory = Dyad.connect("127.0.0.1:1", this) { "" }
        assertTrue("empty" in assertFailsWith<Unauthenticated> { mallory.create() }.sentence)
    }

    @Test
    fun `an Error of the token function ends neither the scope nor the connection`() = test {
        val tokens =
            ArrayDeque<() -> String>(listOf({ TODO("sign in") }, { server.token("alice") }))
        val alice =
            Dyad.connect("127.0.0.1:${server.port}", this, InsecureChannelCredentials.create()) {
                tokens.removeFirst()()
            }
        assertIs<NotImplementedError>(assertFailsWith<Unavailable> { alice.create() }.cause)
        alice.create()
        alice.close()
    }

    @Test
    fun `a token with characters that a header must not have is not sent`() = test {
        val mallory =
            Dyad.connect("127.0.0.1:${server.port}", this, InsecureChannelCredentials.create()) {
                "a\r\nb"
            }
        assertFailsWith<Unauthenticated> { mallory.create() }
    }

    @Test
    fun `an app that could not get a token sees its own exception as the cause`() = test {
        val alice =
            Dyad.connect("127.0.0.1:${server.port}", this, InsecureChannelCredentials.create()) {
                throw IOException("offline")
            }
        val ended = assertFailsWith<Unavailable> { alice.create() }
        assertEquals("offline", assertIs<IOException>(ended.cause).message)
        assertTrue(ended.shouldRetry)
    }

    @Test
    fun `a server that does not exist is unavailable`() = test {
        val alice =
            Dyad.connect("127.0.0.1:1", this, InsecureChannelCredentials.create()) { "token" }
        assertTrue(assertFailsWith<Unavailable> { alice.create() }.shouldRetry)
    }
}
