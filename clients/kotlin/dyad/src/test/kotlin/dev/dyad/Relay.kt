package dev.dyad

import dev.dyad.v1.SignalRequest
import dev.dyad.v1.SignalResponse
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineImplBase
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineStub
import io.grpc.Context
import io.grpc.Contexts
import io.grpc.Grpc
import io.grpc.InsecureServerCredentials
import io.grpc.ManagedChannelBuilder
import io.grpc.Metadata
import io.grpc.ServerCall
import io.grpc.ServerCallHandler
import io.grpc.ServerInterceptor
import java.util.concurrent.CopyOnWriteArrayList
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.onEach

private val AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)
private val ROUTING_KEY = Metadata.Key.of("dyad-routing-key", Metadata.ASCII_STRING_MARSHALLER)
internal val TRACEPARENT: Metadata.Key<String> =
    Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER)
private val KEY: Context.Key<String?> = Context.key("routing key")

/**
 * A gRPC proxy between a client with this [token] and the server at [serverPort]. Like Envoy, it
 * answers HTTP/2 pings itself, even if it no longer reaches the server.
 */
internal class Relay(serverPort: Int, private val token: String) : AutoCloseable {
    private class Line(@Volatile var isHung: Boolean = false)

    private val onward =
        ManagedChannelBuilder.forAddress("127.0.0.1", serverPort).usePlaintext().build()
    @Volatile private var line = Line()

    /** The routing keys of all streams so far. */
    val keys = CopyOnWriteArrayList<String>()

    /** The traceparents of all streams so far. */
    val traces = CopyOnWriteArrayList<String>()

    private val here =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(
                object : SignalingCoroutineImplBase() {
                    override fun signal(requests: Flow<SignalRequest>): Flow<SignalResponse> =
                        relay(requests, line)
                }
            )
            .intercept(
                object : ServerInterceptor {
                    override fun <Q, R> interceptCall(
                        call: ServerCall<Q, R>,
                        headers: Metadata,
                        next: ServerCallHandler<Q, R>,
                    ): ServerCall.Listener<Q> {
                        headers[TRACEPARENT]?.let(traces::add)
                        val context = Context.current().withValue(KEY, headers[ROUTING_KEY])
                        return Contexts.interceptCall(context, call, headers, next)
                    }
                }
            )
            .build()
            .start()

    val target: String = "127.0.0.1:${here.port}"

    /** Gets an item for each message without frames that goes to the server. */
    val answers = Channel<Unit>(Channel.UNLIMITED)

    /** Called before a message from the server is relayed. */
    @Volatile var beforeMessage: suspend () -> Unit = {}

    /** Called before a `leave_room` is relayed to the server. */
    @Volatile var beforeLeave: suspend () -> Unit = {}

    /** Relay nothing more on the open streams, without ending them. Later streams work. */
    fun hang() {
        line.isHung = true
        line = Line()
    }

    override fun close() {
        here.shutdownNow()
        onward.shutdownNow()
    }

    private fun relay(requests: Flow<SignalRequest>, mine: Line): Flow<SignalResponse> = flow {
        val headers = Metadata().apply { put(AUTHORIZATION, "Bearer $token") }
        KEY.get()?.let {
            keys += it
            headers.put(ROUTING_KEY, it)
        }
        val passing =
            requests.onEach {
                if (mine.isHung) awaitCancellation()
                if (it.framesCount == 0) answers.send(Unit)
                if (it.framesList.any { frame -> frame.hasLeaveRoom() }) beforeLeave()
            }
        SignalingCoroutineStub(onward).signal(passing, headers).collect {
            if (mine.isHung) awaitCancellation()
            beforeMessage()
            emit(it)
        }
    }
}
