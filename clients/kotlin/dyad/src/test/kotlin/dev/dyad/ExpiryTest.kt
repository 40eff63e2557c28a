package dev.dyad

import io.grpc.InsecureChannelCredentials
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.parallel.Execution
import org.junit.jupiter.api.parallel.ExecutionMode

/** The server accepts a token for 30 s after its `exp`. */
private val LONG = 90.seconds

@Execution(ExecutionMode.CONCURRENT)
internal class ExpiryTest {
    private val server = Server("--end-at-expiry")

    @AfterEach fun stop() = server.close()

    @Test
    fun `a token that expires is renewed and nothing is lost`() =
        test(LONG) {
            val tokens = ArrayDeque(listOf(server.token("alice", ttl = 1), server.token("alice")))
            val renewed = CompletableDeferred<Unit>()
            val alice =
                Dyad.connect(
                    "127.0.0.1:${server.port}",
                    this,
                    InsecureChannelCredentials.create(),
                ) {
                    tokens.removeFirst().also { if (tokens.isEmpty()) renewed.complete(Unit) }
                }
            val bob = server.connect(this, "bob")
            meet(alice, bob)
            var sent = 0
            do {
                val isOver = withTimeoutOrNull(20.milliseconds) { renewed.await() } != null
                bob.sendCandidate(Candidate("candidate:${sent++}"))
            } while (!isOver)
            bob.sendOffer("the last one")
            val events = mutableListOf<Event>()
            do events += alice.next<Event>(within = LONG) while (events.last() !is Offer)
            assertEquals(
                List(sent) { "candidate:$it" },
                events.filterIsInstance<Candidate>().map { it.candidate },
            )
            assertTrue(events.filterIsInstance<Reconnected>().single().resumed)
            alice.close()
            bob.close()
        }

    @Test
    fun `a fixed token that expires ends the connection with the server's sentence`() =
        test(LONG) {
            val fixed = server.token("alice", ttl = 1)
            val alice =
                Dyad.connect(
                    "127.0.0.1:${server.port}",
                    this,
                    InsecureChannelCredentials.create(),
                ) {
                    fixed
                }
            alice.create()
            alice.next<Reconnecting>(within = LONG)
            val ended = assertFailsWith<Unauthenticated> { alice.events.toList() }
            assertTrue("expired" in ended.sentence, ended.sentence)
            assertFalse(ended.shouldRetry)
        }
}
