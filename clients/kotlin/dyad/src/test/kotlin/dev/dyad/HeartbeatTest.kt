package dev.dyad

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.parallel.Execution
import org.junit.jupiter.api.parallel.ExecutionMode

private val LONG = 90.seconds

@Execution(ExecutionMode.CONCURRENT)
internal class HeartbeatTest {
    @Test
    fun `a quiet call outlives its lease`() =
        test(LONG) {
            Server("--heartbeat", "0.5", "--lease", "10").use { server ->
                Relay(server.port, server.token("alice")).use { relay ->
                    val alice = server.connect(this, "alice", relay.target)
                    val bob = server.connect(this, "bob")
                    meet(alice, bob)
                    repeat(24) { relay.answers.receive() }
                    alice.sendOffer("an offer")
                    bob.next<Offer>()
                    bob.sendAnswer("an answer")
                    alice.next<Answer>()
                    alice.close()
                    bob.close()
                }
            }
        }

    @Test
    fun `heartbeats are answered while the app collects no events`() =
        test(LONG) {
            Server("--heartbeat", "0.5", *GENEROUS).use { server ->
                Relay(server.port, server.token("alice")).use { relay ->
                    val alice = server.connect(this, "alice", relay.target)
                    val bob = server.connect(this, "bob")
                    meet(alice, bob)
                    val sent = List(3000) { Candidate("candidate:$it") }
                    sent.forEach { bob.sendCandidate(it) }
                    repeat(5) { relay.answers.receive() }
                    assertEquals(
                        sent,
                        alice.events.take(sent.size).toList().map {
                            (it as Candidate).copy(sender = null, roomId = "")
                        },
                    )
                    alice.close()
                    bob.close()
                }
            }
        }

    @Test
    fun `a silent server is noticed behind a proxy that answers pings`() =
        test(LONG) {
            // With a long lease the server notices nothing, so Alice must.
            Server("--lease", "600", "--resume-grace", "600").use { server ->
                Relay(server.port, server.token("alice")).use { relay ->
                    val alice = server.connect(this, "alice", relay.target)
                    val bob = server.connect(this, "bob")
                    meet(alice, bob)
                    relay.hang()
                    bob.sendOffer("into the void")
                    val took = measureTime { alice.next<Reconnecting>(within = LONG) }
                    assertTrue(took > 20.seconds, "It took $took.")
                    assertTrue(alice.next<Reconnected>().resumed)
                    assertEquals("into the void", alice.next<Offer>().sdp)
                    alice.close()
                    bob.close()
                }
            }
        }

    @Test
    fun `an app that collects no events ends its connection`() =
        test(LONG) {
            Server("--resume-grace", "0.2", *GENEROUS).use { server ->
                val alice = server.connect(this, "alice")
                val bob = server.connect(this, "bob")
                meet(alice, bob)
                repeat(18) { bob.sendOffer("x".repeat(60 * 1024)) }
                bob.next<PeerLeft>(within = LONG)
                // The events that arrived can still be collected. After them comes the end.
                repeat(18) { alice.next<Offer>() }
                assertFalse(assertFailsWith<Overloaded> { alice.events.toList() }.shouldRetry)
                bob.close()
            }
        }
}
