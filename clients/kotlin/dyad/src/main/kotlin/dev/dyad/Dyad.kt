package dev.dyad

import io.grpc.ChannelCredentials
import io.grpc.Grpc
import io.grpc.ManagedChannel
import io.grpc.ManagedChannelBuilder
import io.grpc.TlsChannelCredentials
import java.util.concurrent.TimeUnit
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope

private val GIVE_UP = 60.seconds
private const val KEEPALIVE_SECONDS = 5L
private const val KEEPALIVE_TIMEOUT_SECONDS = 3L

/**
 * The Kotlin client of Dyad: 1:1 call signaling for WebRTC.
 *
 * It carries offers, answers and ICE candidates between two participants. The WebRTC itself is up
 * to the app.
 */
public object Dyad {
    /**
     * A connection to the server at [target], over a channel of its own.
     *
     * @param target the server, as gRPC names it: `host:port`.
     * @param scope the connection lives in it: the scope waits for its [close][Connection.close],
     *   and cancelling the scope ends it.
     * @param credentials TLS by default; `InsecureChannelCredentials.create()` for plain text.
     * @param giveUpAfter how long to try to reconnect.
     * @param token returns the app's JWT. The client calls it each time it opens a stream.
     */
    public fun connect(
        target: String,
        scope: CoroutineScope,
        credentials: ChannelCredentials = TlsChannelCredentials.create(),
        giveUpAfter: Duration = GIVE_UP,
        token: suspend () -> String,
    ): Connection {
        val channel = Grpc.newChannelBuilder(target, credentials).noticingFrozenServers().build()
        return Connection(channel, scope, giveUpAfter, token, whenOver = { channel.shutdownNow() })
    }

    /**
     * A connection over a [channel] of the app. The app must shut the channel down itself.
     *
     * @param channel see [noticingFrozenServers] for how to build it.
     * @param scope the connection lives in it: the scope waits for its [close][Connection.close],
     *   and cancelling the scope ends it.
     * @param giveUpAfter how long to try to reconnect.
     * @param token returns the app's JWT. The client calls it each time it opens a stream.
     */
    public fun connect(
        channel: ManagedChannel,
        scope: CoroutineScope,
        giveUpAfter: Duration = GIVE_UP,
        token: suspend () -> String,
    ): Connection = Connection(channel, scope, giveUpAfter, token, whenOver = {})
}

/**
 * Let the channel notice a frozen server or a lost network within 13 seconds.
 *
 * It asks for a ping after 5 s of silence, answered within 3 s. gRPC for Java pings after 10 s at
 * the earliest.
 */
public fun <B : ManagedChannelBuilder<B>> ManagedChannelBuilder<B>.noticingFrozenServers(): B =
    keepAliveTime(KEEPALIVE_SECONDS, TimeUnit.SECONDS)
        .keepAliveTimeout(KEEPALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
