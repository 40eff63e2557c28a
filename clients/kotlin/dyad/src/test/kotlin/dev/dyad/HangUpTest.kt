package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.EnumSource

/** More candidates than the pace lets through at once. */
private const val MANY = 200

/** The ways to end a call. */
internal enum class Way(val act: suspend (Connection, CoroutineScope) -> Unit) {
    LEAVE({ connection, _ -> connection.leave() }),
    CLOSE({ connection, _ -> connection.close() }),
    HANG_UP({ connection, _ -> connection.hangUp() }),
    CANCEL_THE_SCOPE({ _, scope -> scope.cancel() }),
}

internal class HangUpTest {
    private val server = Server("--resume-grace", "10")
    private val cable = Cable(server.port)

    @AfterEach
    fun stop() {
        cable.close()
        server.close()
    }

    @ParameterizedTest
    @EnumSource
    fun `the peer hears a hang-up at once`(way: Way) = test {
        val scope = CoroutineScope(Job())
        val alice = server.connect(this, "alice")
        val bob = server.connect(scope, "bob")
        meet(alice, bob)
        way.act(bob, scope)
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        scope.coroutineContext.job.children.forEach { it.join() }
        alice.close()
    }

    @ParameterizedTest
    @EnumSource
    fun `a hang-up while the connection is broken is delivered`(way: Way) = test {
        val scope = CoroutineScope(Job())
        val alice = server.connect(this, "alice")
        val bob = server.connect(scope, "bob", cable.target)
        meet(alice, bob)
        cable.cutForGood()
        bob.next<Reconnecting>()
        val hangingUp = launch(start = CoroutineStart.UNDISPATCHED) { way.act(bob, scope) }
        cable.mend()
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        hangingUp.join()
        scope.coroutineContext.job.children.forEach { it.join() }
        alice.close()
    }

    @Test
    fun `closing without a server returns, and so does leaving`() = test {
        val bob = server.connect(this, "bob", cable.target)
        bob.create()
        cable.cutForGood()
        bob.next<Reconnecting>()
        // They would otherwise try to reconnect for a minute.
        assertTrue(measureTime { bob.close() } < 30.seconds)
        assertEquals(ConnectionState.Ended(null), bob.state.value)
        assertEquals(emptyList(), bob.events.toList())
        bob.close()
        bob.leave()
        bob.hangUp()
    }

    @Test
    fun `closing in a coroutine that is cancelled hangs up`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        val waiting =
            launch(start = CoroutineStart.UNDISPATCHED) {
                try {
                    awaitCancellation()
                } finally {
                    bob.close()
                }
            }
        waiting.cancel()
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        alice.close()
    }

    @Test
    fun `leaving delivers what was sent before, also what the pace holds back`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        repeat(MANY) { bob.sendCandidate(Candidate("$it")) }
        bob.leave()
        repeat(MANY) { assertEquals("$it", alice.next<Candidate>().candidate) }
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        alice.close()
    }

    @Test
    fun `leaving without a room, and leaving twice, does nothing`() = test {
        val alice = server.connect(this, "alice")
        alice.leave()
        alice.create()
        alice.leave()
        alice.leave()
        assertEquals(ConnectionState.Idle, alice.state.value)
        alice.create()
        alice.close()
    }

    @Test
    fun `detaching keeps the seat, and the peer is told when the grace time is over`() = test {
        Server("--resume-grace", "1").use { hasty ->
            val alice = hasty.connect(this, "alice")
            val bob = hasty.connect(this, "bob")
            meet(alice, bob)
            bob.sendOffer("the last words")
            bob.detach()
            assertEquals("the last words", alice.next<Offer>().sdp)
            assertEquals(Departure.DISCONNECTED, alice.next<PeerLeft>().reason)
            assertFailsWith<Ended> { bob.create() }
            alice.close()
        }
    }

    @Test
    fun `the same user may take up its seat again after detaching`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        val roomId = meet(alice, bob)
        bob.detach()
        val restarted = server.connect(this, "bob")
        assertEquals("alice", restarted.join(roomId).peer?.userId)
        assertEquals(Departure.REPLACED, alice.next<PeerLeft>().reason)
        alice.close()
        restarted.close()
    }

    @Test
    fun `a join that is cancelled leaves nothing behind`() = test {
        Relay(server.port, server.token("bob")).use { relay ->
            val alice = server.connect(this, "alice")
            val bob = server.connect(this, "bob", relay.target)
            val roomId = alice.create().roomId
            val answered = CompletableDeferred<Unit>()
            relay.beforeMessage = { answered.await() }
            val joining = launch { bob.join(roomId) }
            alice.next<PeerJoined>()
            joining.cancel()
            joining.join()
            answered.complete(Unit)
            assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
            assertEquals("alice", bob.join(roomId).peer?.userId)
            alice.close()
            bob.close()
        }
    }

    @Test
    fun `cancelling a join to a server that does not answer returns at once`() = test {
        cable.silence()
        val bob = server.connect(this, "bob", "127.0.0.1:1")
        val entering = CompletableDeferred<Unit>()
        val stuck =
            Dyad.connect(cable.target, this) {
                entering.complete(Unit)
                awaitCancellation()
            }
        val joining = launch { stuck.create() }
        entering.await()
        assertEquals(ConnectionState.Connecting, stuck.state.value)
        joining.cancel()
        joining.join()
        stuck.state.first { it == ConnectionState.Idle }
        assertFailsWith<Unavailable> { bob.create() }
    }

    @Test
    fun `closing while a join waits for its answer ends it`() = test {
        val entering = CompletableDeferred<Unit>()
        val stuck =
            Dyad.connect(cable.target, this) {
                entering.complete(Unit)
                awaitCancellation()
            }
        val joining = async { runCatching { stuck.create() }.exceptionOrNull() }
        entering.await()
        stuck.close()
        assertFalse(assertIs<Ended>(joining.await()).shouldRetry)
    }

    @Test
    fun `a listener that closes when the state is connected again leaves no ghost`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob", cable.target)
        meet(alice, bob)
        val closing =
            launch(Dispatchers.Unconfined) {
                bob.state.first { it is ConnectionState.Reconnecting }
                bob.state.first { it == ConnectionState.Connected }
                bob.close()
            }
        cable.cut()
        assertEquals(Departure.LEFT, alice.next<PeerLeft>().reason)
        closing.join()
        assertEquals(ConnectionState.Ended(null), bob.state.value)
        alice.close()
    }

    @Test
    fun `events of the last room are dropped, and the next room has its own`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        repeat(20) { alice.sendCandidate(Candidate("candidate:$it")) }
        assertEquals("candidate:0", bob.next<Candidate>().candidate)
        bob.leave()
        assertEquals(emptyList(), bob.events.toList())
        alice.next<PeerLeft>()
        alice.leave()
        val roomId = bob.create().roomId
        alice.join(roomId)
        assertEquals(roomId, bob.next<PeerJoined>().roomId)
        alice.close()
        bob.close()
    }

    @Test
    fun `a create in the handler of an event enters another room`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        bob.close()
        val first = mutableListOf<Event>()
        alice.events.collect {
            first += it
            alice.leave()
            alice.create()
        }
        assertIs<PeerLeft>(first.single())
        assertEquals(ConnectionState.Connected, alice.state.value)
        alice.close()
    }

    @Test
    fun `a cancelled scope ends a connection that is in no room`() = test {
        val scope = CoroutineScope(Job())
        val alice = server.connect(scope, "alice")
        scope.cancel(CancellationException("over"))
        assertFailsWith<Ended> { alice.create() }
    }
}
