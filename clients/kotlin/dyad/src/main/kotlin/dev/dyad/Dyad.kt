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
     * A connection to the server at [target]. It does nothing before the first
     * [create][Connection.create] or [join][Connection.join], and each call has a channel of its
     * own.
     *
     * @param target the server, as gRPC names it: `host:port`.
     * @param scope calls live in it: the scope waits for the end of a call, and cancelling the
     *   scope [hangs up][Connection.close].
     * @param credentials TLS by default; `InsecureChannelCredentials.create()` for plain text.
     * @param giveUpAfter how long to try to reconnect.
     * @param limits of the server, if they are not the default ones.
     * @param log receives what the client does.
     * @param token returns the app's JWT. The client calls it each time it opens a stream. If it
     *   throws while the client reconnects, the client tries again. If it returns an empty token,
     *   because the user is logged out, the client asks once more, and then the call ends with
     *   [Unauthenticated].
     */
    public fun connect(
        target: String,
        scope: CoroutineScope,
        credentials: ChannelCredentials = TlsChannelCredentials.create(),
        giveUpAfter: Duration = GIVE_UP,
        limits: Limits = Limits(),
        log: Log = Log.NONE,
        token: suspend () -> String,
    ): Connection {
        val builder = { Grpc.newChannelBuilder(target, credentials).noticingFrozenServers() }
        val settings =
            Settings(giveUpAfter, limits, log, { builder().build() }, { it.shutdownNow() })
        return Connection(scope, settings, token)
    }

    /**
     * A connection over a [channel] of the app. The app must shut the channel down itself.
     *
     * @param channel see [noticingFrozenServers] for how to build it.
     * @param scope calls live in it: the scope waits for the end of a call, and cancelling the
     *   scope [hangs up][Connection.close].
     * @param giveUpAfter how long to try to reconnect.
     * @param limits of the server, if they are not the default ones.
     * @param log receives what the client does.
     * @param token returns the app's JWT. The client calls it each time it opens a stream. If it
     *   throws while the client reconnects, the client tries again. If it returns an empty token,
     *   because the user is logged out, the client asks once more, and then the call ends with
     *   [Unauthenticated].
     */
    public fun connect(
        channel: ManagedChannel,
        scope: CoroutineScope,
        giveUpAfter: Duration = GIVE_UP,
        limits: Limits = Limits(),
        log: Log = Log.NONE,
        token: suspend () -> String,
    ): Connection = Connection(scope, Settings(giveUpAfter, limits, log, { channel }, {}), token)
}

/** What the app chose for a [Connection]. */
internal class Settings(
    val giveUpAfter: Duration,
    val limits: Limits,
    val log: Log,
    val openChannel: () -> ManagedChannel,
    val closeChannel: (ManagedChannel) -> Unit,
)

/**
 * Let the channel notice a frozen server or a lost network within 13 seconds.
 *
 * It asks for a ping after 5 s of silence, answered within 3 s. gRPC for Java pings after 10 s at
 * the earliest.
 */
public fun <B : ManagedChannelBuilder<B>> ManagedChannelBuilder<B>.noticingFrozenServers(): B =
    keepAliveTime(KEEPALIVE_SECONDS, TimeUnit.SECONDS)
        .keepAliveTimeout(KEEPALIVE_TIMEOUT_SECONDS, TimeUnit.SECONDS)
