package dev.dyad.testing

import dev.dyad.v1.SignalRequest
import dev.dyad.v1.SignalResponse
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineImplBase
import io.grpc.Context
import io.grpc.Contexts
import io.grpc.ManagedChannel
import io.grpc.Metadata
import io.grpc.Server
import io.grpc.ServerCall
import io.grpc.ServerCallHandler
import io.grpc.ServerInterceptor
import io.grpc.ServerInterceptors
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.inprocess.InProcessChannelBuilder
import io.grpc.inprocess.InProcessServerBuilder
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch

private val AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)
private val DYAD_STATUS = Metadata.Key.of("dyad-status", Metadata.ASCII_STRING_MARSHALLER)
private val RETRY_AFTER = Metadata.Key.of("retry-after-ms", Metadata.ASCII_STRING_MARSHALLER)
private val USER: Context.Key<String> = Context.key("user")

/**
 * A Dyad server in this process, for the tests of an app. It needs `io.grpc:grpc-inprocess`.
 *
 * It speaks the contract without a network, a clock and real tokens: whatever token a client sends
 * is its user id. It reserves seats, so an app can test how it reconnects. It has no limits and no
 * heartbeats.
 *
 * ```
 * FakeServer().use { server ->
 *     val alice = Dyad.connect(server.channel, this) { "alice" }
 *     val bob = Dyad.connect(server.channel, this) { "bob" }
 *     bob.join(alice.create().roomId)
 * }
 * ```
 */
public class FakeServer : AutoCloseable {
    private val rooms = FakeRooms()
    private val name = InProcessServerBuilder.generateName()
    private val server: Server =
        InProcessServerBuilder.forName(name)
            .addService(ServerInterceptors.intercept(Service(rooms), Identify))
            .build()
            .start()

    /** A channel to this server, for [dev.dyad.Dyad.connect]. */
    public val channel: ManagedChannel = InProcessChannelBuilder.forName(name).build()

    /** Break the connections of a user. Its client reconnects, and loses nothing. */
    public fun disconnect(userId: String): Unit = rooms.disconnect(userId)

    /**
     * Break the connections of a user, and do not reserve its seats: its peer is told. Its client
     * joins again, in a new session.
     */
    public fun forget(userId: String): Unit = rooms.forget(userId)

    override fun close() {
        channel.shutdownNow()
        server.shutdownNow()
    }
}

/** How a stream ends. */
internal fun ended(status: Status, isFinal: Boolean = false): StatusException {
    val trailers = Metadata()
    trailers.put(DYAD_STATUS, "${status.code.value()}")
    if (isFinal) trailers.put(RETRY_AFTER, "-1")
    return StatusException(status, trailers)
}

private class Service(private val rooms: FakeRooms) : SignalingCoroutineImplBase() {
    override fun signal(requests: Flow<SignalRequest>): Flow<SignalResponse> = flow {
        val userId =
            USER.get() ?: throw ended(Status.UNAUTHENTICATED.withDescription("There is no token."))
        val stream = Channel<SignalResponse>(Channel.UNLIMITED)
        val seat = rooms.open(userId, stream)
        coroutineScope {
            val reading = launch {
                requests.collect { request -> request.framesList.forEach(seat::receive) }
                stream.close()
            }
            try {
                for (response in stream) emit(response)
            } finally {
                reading.cancel()
                seat.close()
            }
        }
    }
}

/** Tells the service whose stream it is. */
private object Identify : ServerInterceptor {
    override fun <Q, R> interceptCall(
        call: ServerCall<Q, R>,
        headers: Metadata,
        next: ServerCallHandler<Q, R>,
    ): ServerCall.Listener<Q> {
        val userId = headers[AUTHORIZATION]?.removePrefix("Bearer ")
        val context = Context.current().withValue(USER, userId)
        return Contexts.interceptCall(context, call, headers, next)
    }
}
