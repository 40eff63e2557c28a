package dev.dyad

import io.grpc.CallOptions
import io.grpc.Channel
import io.grpc.ClientCall
import io.grpc.ClientInterceptor
import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import io.grpc.Metadata
import io.grpc.MethodDescriptor
import io.grpc.stub.MetadataUtils
import kotlin.io.encoding.Base64
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.asContextElement
import kotlinx.coroutines.plus
import org.junit.jupiter.api.Test

private const val ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
private const val OTHER = "00000000-0000-4000-8000-00000000abcd"

internal class RoutingTest {
    @Test
    fun `all who enter a room have the same key`() {
        val keys =
            setOf(
                routingKey(ROOM, "not.a.jwt"),
                routingKey(ROOM.uppercase(), "not.a.jwt"),
                routingKey(ROOM, claiming("""{"room":"$OTHER"}""")),
                routingKey("", claiming("""{"room":"$ROOM"}""")),
                routingKey("", claiming("""{"sub": "J\u00f6rg", "room" : "${ROOM.uppercase()}"}""")),
            )
        assertEquals(setOf("3f9f7a10"), keys)
    }

    @Test
    fun `without a room the key is random`() {
        val tokens =
            listOf("", "a", "a.b", "a.b.c", "..", "a.\u00fc.c", "a.${"W".repeat(10_000)}.c") +
                listOf("null", "[]", "7", """{"room":null}""", """{"room":7}""").map(::claiming) +
                listOf("", "lobby", " $ROOM", "$ROOM ").map { claiming("""{"room":"$it"}""") }
        for (token in tokens) {
            val keys = List(100) { routingKey("", token) }.toSet()
            assertEquals(100, keys.size, token.take(40))
            assertTrue(keys.all(Regex("[0-9a-f]{8}")::matches), token.take(40))
        }
    }

    @Test
    fun `every connection carries the key of its room`() = test {
        Server().use { server ->
            Relay(server.port, server.token("alice")).use { relay ->
                val alice = server.connect(this, "alice", relay.target)
                val bob = server.connect(this, "bob")
                val first = alice.create().roomId
                alice.networkChanged()
                alice.next<Reconnecting>()
                assertTrue(alice.next<Reconnected>().resumed)
                alice.leave()
                val second = bob.create().roomId
                alice.join(second.uppercase())
                assertEquals(listOf(first, first, second).map { it.takeLast(8) }, relay.keys)
                alice.close()
                bob.close()
            }
        }
    }

    @Test
    fun `every stream passes the interceptors of the app's channel, in the context of its scope`() =
        test {
            val span = ThreadLocal<String>()
            val naming =
                object : ClientInterceptor {
                    override fun <Q, R> interceptCall(
                        method: MethodDescriptor<Q, R>,
                        options: CallOptions,
                        next: Channel,
                    ): ClientCall<Q, R> {
                        val headers = Metadata().apply { put(TRACEPARENT, span.get()) }
                        return MetadataUtils.newAttachHeadersInterceptor(headers)
                            .interceptCall(method, options, next)
                    }
                }
            Server().use { server ->
                Relay(server.port, server.token("alice")).use { relay ->
                    val channel =
                        Grpc.newChannelBuilder(relay.target, InsecureChannelCredentials.create())
                            .noticingFrozenServers()
                            .intercept(naming)
                            .build()
                    val scope = this + span.asContextElement("of the app")
                    val alice = Dyad.connect(channel, scope) { server.token("alice") }
                    alice.create()
                    alice.networkChanged()
                    alice.next<Reconnecting>()
                    assertTrue(alice.next<Reconnected>().resumed)
                    assertEquals(List(2) { "of the app" }, relay.traces)
                    alice.close()
                    channel.shutdownNow()
                }
            }
        }

    private fun claiming(claims: String): String =
        "e30.${Base64.UrlSafe.encode(claims.encodeToByteArray()).trimEnd('=')}.signature"
}
