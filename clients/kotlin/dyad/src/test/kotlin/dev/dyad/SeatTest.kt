package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource

internal class SeatTest {
    private val server = Server()
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @Test
    fun `another device of the user takes the seat for good`() = test {
        val phone = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val roomId = meet(phone, bob)
        val laptop = server.connect(this, "alice")
        assertEquals("bob", laptop.join(roomId).peer?.userId)
        assertEquals(Departure.REPLACED, bob.next<PeerLeft>().reason)
        bob.next<PeerJoined>()
        assertReplaced(phone)
        // The phone does not take it back.
        laptop.sendOffer("from the laptop")
        assertEquals("from the laptop", bob.next<Offer>().sdp)
        laptop.close()
        bob.close()
    }

    @Test
    fun `a device that wakes up does not take the seat from the user's other device`() = test {
        val laptop = server.connect(this, "alice", cable.target)
        val bob = server.connect(this, "bob")
        val roomId = meet(laptop, bob)
        cable.cutForGood()
        laptop.next<Reconnecting>()
        val phone = server.connect(this, "alice")
        phone.join(roomId)
        bob.next<PeerLeft>()
        bob.next<PeerJoined>()
        cable.mend()
        assertReplaced(laptop)
        phone.sendOffer("from the phone")
        assertEquals("from the phone", bob.next<Offer>().sdp)
        phone.close()
        bob.close()
    }

    @Test
    fun `a hang-up succeeds after the seat was taken, and does not affect the new seat`() = test {
        val laptop = server.connect(this, "alice", cable.target)
        val bob = server.connect(this, "bob")
        val roomId = meet(laptop, bob)
        cable.cutForGood()
        laptop.next<Reconnecting>()
        val phone = server.connect(this, "alice")
        phone.join(roomId)
        bob.next<PeerLeft>()
        bob.next<PeerJoined>()
        val leaving = launch { laptop.leave() }
        cable.mend()
        leaving.join()
        phone.sendOffer("an offer")
        bob.next<Offer>()
        listOf(laptop, phone, bob).forEach { it.close() }
    }

    @ParameterizedTest
    @ValueSource(booleans = [true, false])
    fun `a hang-up succeeds if the seat is taken before it arrives`(resumable: Boolean) = test {
        val between = Relay(server.port, server.token("alice"))
        val laptop = server.connect(this, "alice", between.target)
        val bob = server.connect(this, "bob")
        val roomId = laptop.create(resumable).roomId
        bob.join(roomId)
        laptop.next<PeerJoined>()
        val phone = server.connect(this, "alice")
        between.beforeLeave = { phone.join(roomId) }
        laptop.leave()
        assertEquals(Departure.REPLACED, bob.next<PeerLeft>().reason)
        // And it may enter another room.
        laptop.create()
        listOf(laptop, phone, bob).forEach { it.close() }
        between.close()
    }

    @Test
    fun `a room id in upper case names the same room`() = test {
        val alice = server.connect(this, "alice")
        val roomId = alice.create().roomId
        val bob = server.connect(this, "bob", cable.target)
        assertEquals(roomId, bob.join(roomId.uppercase()).roomId)
        alice.next<PeerJoined>()
        cable.cut()
        bob.next<Reconnecting>()
        val back = bob.next<Reconnected>()
        assertTrue(back.resumed)
        assertEquals(roomId, back.room.roomId)
        bob.sendOffer("an offer")
        alice.next<Offer>()
        alice.close()
        bob.close()
    }

    /** Check that the connection has ended, says why, and is not to reconnect. */
    private suspend fun assertReplaced(connection: Connection) {
        val ended = assertFailsWith<TakenOver> { connection.events.toList() }
        assertTrue(assertNotNull(ended.retryAfter).isNegative())
        assertTrue(ended.sentence.isNotEmpty())
        assertFalse(ended.shouldRetry)
    }
}
