package dev.dyad

import io.grpc.InsecureChannelCredentials
import io.grpc.ManagedChannelBuilder
import io.grpc.Status
import java.util.concurrent.TimeUnit
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test

internal class LifetimeTest : OneServer() {
    @Test
    fun `closing delivers what was sent before`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val roomId = meet(alice, bob)
        repeat(100) { alice.sendCandidate(Candidate("candidate:$it")) }
        alice.close()
        repeat(100) { assertEquals("candidate:$it", bob.next<Candidate>().candidate) }
        assertEquals(PeerLeft(roomId, alicesName, Departure.LEFT), bob.next())
        bob.close()
    }

    @Test
    fun `after closing the events complete and sending fails`() = test {
        val alice = server.connect(this, "alice")
        alice.create()
        val events = async { alice.events.toList() }
        alice.close()
        assertEquals(emptyList(), events.await())
        assertEquals(
            Status.Code.CANCELLED,
            assertFailsWith<Ended> { alice.sendOffer("an offer") }.code,
        )
        alice.close()
    }

    @Test
    fun `cancelling the scope hangs up`() = test {
        val scope = CoroutineScope(Job())
        val alice = server.connect(scope, "alice")
        val bob = server.connect(this, "bob")
        val roomId = meet(alice, bob)
        scope.cancel()
        assertEquals(PeerLeft(roomId, alicesName, Departure.LEFT), bob.next())
        assertFailsWith<Ended> { alice.sendOffer("an offer") }
        assertFailsWith<Ended> { alice.create() }
        bob.close()
    }

    @Test
    fun `the end of a connection does not cancel its scope`() = test {
        val scope = CoroutineScope(Job())
        val mallory =
            Dyad.connect("127.0.0.1:${server.port}", scope, InsecureChannelCredentials.create()) {
                "not a token"
            }
        assertFailsWith<Unauthenticated> { mallory.create() }
        assertTrue(scope.coroutineContext[Job]?.isActive == true)
        scope.cancel()
    }

    @Test
    fun `events that were not collected wait for the next collector`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        val sent = List(30) { "candidate:$it" }
        sent.forEach { alice.sendCandidate(Candidate(it)) }
        val heard = mutableListOf<Event>()
        repeat(10) { heard += bob.next<Candidate>() }
        heard += bob.events.take(10).toList()
        repeat(10) { heard += bob.next<Candidate>() }
        assertEquals(sent, heard.map { assertIs<Candidate>(it).candidate })
        alice.close()
        bob.close()
    }

    @Test
    fun `a channel of the app stays open after the connection`() = test {
        val channel =
            ManagedChannelBuilder.forAddress("127.0.0.1", server.port).usePlaintext().build()
        val token = server.token("alice")
        repeat(2) {
            val alice = Dyad.connect(channel, this) { token }
            alice.create()
            alice.leave()
            alice.close()
        }
        assertFalse(channel.isShutdown)
        channel.shutdown()
        assertTrue(channel.awaitTermination(5, TimeUnit.SECONDS))
    }
}
