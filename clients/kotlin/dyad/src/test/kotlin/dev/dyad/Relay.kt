package dev.dyad

import dev.dyad.v1.SignalRequest
import dev.dyad.v1.SignalResponse
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineImplBase
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineStub
import io.grpc.Grpc
import io.grpc.InsecureServerCredentials
import io.grpc.ManagedChannelBuilder
import io.grpc.Metadata
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.onEach

/**
 * A gRPC proxy between a client with this [token] and the server at [serverPort]. Like Envoy, it
 * answers HTTP/2 pings itself, even if it no longer reaches the server.
 */
internal class Relay(serverPort: Int, token: String) : AutoCloseable {
    private class Line(@Volatile var isHung: Boolean = false)

    private val onward =
        ManagedChannelBuilder.forAddress("127.0.0.1", serverPort).usePlaintext().build()
    private val headers =
        Metadata().apply {
            put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer $token")
        }
    @Volatile private var line = Line()
    private val here =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(
                object : SignalingCoroutineImplBase() {
                    override fun signal(requests: Flow<SignalRequest>): Flow<SignalResponse> =
                        relay(requests, line)
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
