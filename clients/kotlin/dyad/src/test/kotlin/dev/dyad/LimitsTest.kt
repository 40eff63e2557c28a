package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.parallel.Execution
import org.junit.jupiter.api.parallel.ExecutionMode

@Execution(ExecutionMode.CONCURRENT)
internal class LimitsTest {
    private val server = Server()

    @AfterEach fun stop() = server.close()

    @Test
    fun `a frame that is too large is refused, and the call continues`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        val tooLarge = assertFailsWith<TooLarge> { alice.sendOffer("x".repeat(70_000)) }
        assertTrue(tooLarge.bytes > tooLarge.limit)
        // The largest one that the client sends is accepted by the server.
        val most = 65_536 - (tooLarge.bytes - 70_000)
        assertFailsWith<TooLarge> { alice.sendOffer("x".repeat(most + 1)) }
        alice.sendOffer("x".repeat(most))
        assertEquals(most, bob.next<Offer>().sdp.length)
        alice.close()
        bob.close()
    }

    @Test
    fun `eight hundred candidates at once arrive, more slowly`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        repeat(800) { alice.sendCandidate(Candidate("candidate:$it")) }
        assertEquals(
            List(800) { "candidate:$it" },
            bob.events.take(800).toList().map { (it as Candidate).candidate },
        )
        alice.close()
        bob.close()
    }

    @Test
    fun `a dozen offers of 20 kB at once arrive, more slowly`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        repeat(12) { alice.sendOffer("$it".padEnd(20_000)) }
        repeat(12) { assertEquals("$it", bob.next<Offer>().sdp.trim()) }
        alice.close()
        bob.close()
    }

    @Test
    fun `a hang-up overtakes frames that are too fast`() = test {
        val alice = server.connect(this, "alice")
        val bob = server.connect(this, "bob")
        meet(alice, bob)
        val sending = launch {
            runCatching { repeat(40) { alice.sendOffer("$it".padEnd(60_000)) } }
        }
        bob.next<Offer>()
        alice.close()
        sending.cancel()
        val heard = mutableListOf<Event>()
        while (heard.lastOrNull() !is PeerLeft) heard += bob.next<Event>()
        assertEquals(Departure.LEFT, (heard.last() as PeerLeft).reason)
        // At the server's rate, the other offers would take a minute.
        assertTrue(heard.size < 20, "${heard.size} events came.")
        bob.close()
    }

    @Test
    fun `a server with other limits is told to the client`() = test {
        Server("--max-frame-bytes", "1000", "--max-frames-per-second", "5").use { strict ->
            val limits = Limits(frameBytes = 1000, framesPerSecond = 5)
            val alice = strict.connect(this, "alice", limits = limits)
            val bob = strict.connect(this, "bob", limits = limits)
            meet(alice, bob)
            assertFailsWith<TooLarge> { alice.sendOffer("x".repeat(1000)) }
            repeat(30) { alice.sendCandidate(Candidate("candidate:$it")) }
            repeat(30) { assertEquals("candidate:$it", bob.next<Candidate>(10.seconds).candidate) }
            alice.close()
            bob.close()
        }
    }
}
