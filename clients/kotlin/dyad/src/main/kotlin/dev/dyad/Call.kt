package dev.dyad

import dev.dyad.v1.SignalRequest
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineStub
import io.grpc.ClientInterceptors
import io.grpc.ManagedChannel
import io.grpc.Status
import io.grpc.StatusException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.cancelChildren
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull

/** How long the client tries to deliver a hang-up: the server reserves the seat no longer. */
private val HANG_UP = 15.seconds

/** How long the server may take to end a stream on which there is nothing more to do. */
private val WIND_UP = 1.seconds

/** How long a try to reconnect may take, from the token to the server's answer. */
private val ANSWER = 8.seconds

/** A server that sends nothing for this long is gone, even if a proxy answers pings for it. */
private val SILENCE = 25.seconds

/**
 * The events of [Call.ready].
 *
 * Apply it last: each `emit` of a `flow` fails if the collector has been cancelled, and an event
 * that was taken before would be lost.
 */
internal fun Flow<() -> Event?>.taken(): Flow<Event> = mapNotNull { take -> take() }

/**
 * Carries one call: the coroutines and the gRPC streams around its [signaling].
 *
 * @property signaling the state of the call. Use it only with the lock of [monitor].
 */
internal class Call(
    val signaling: Signaling,
    private val channel: ManagedChannel,
    private val token: suspend () -> String,
    private val monitor: Monitor,
    private val log: Log,
) {
    private var hasNewNetwork = false

    /** The name of the latest stream in the server's log; empty before the first. */
    @Volatile
    var streamId: String = ""
        private set

    private val named = ClientInterceptors.intercept(channel, StreamNames { streamId = it })

    /** Emits whenever an event waits: then `taken` gets it. See [Connection.events]. */
    val ready: Flow<() -> Event?> = flow {
        val reader = monitor.read { signaling.inbox.open() }
        try {
            while (true) {
                monitor.await { signaling.inbox.hasNext(reader) || isDone() }
                if (!monitor.read { signaling.inbox.hasNext(reader) }) break
                emit { monitor.change { signaling.inbox.next(reader) } }
            }
            monitor.read { signaling.error as? Ended }?.let { throw it }
        } finally {
            monitor.change { signaling.inbox.leave(reader) }
        }
    }

    private fun isDone() = signaling.inbox.isClosed || signaling.over

    /** See [Connection.networkChanged]. */
    fun networkChanged(): Unit = monitor.change { hasNewNetwork = signaling.hasSeat }

    /** Carry the call until it is over. It never fails. */
    suspend fun run() {
        try {
            coroutineScope {
                val carrying = launch { keepConnected() }
                monitor.await { signaling.hangingUp || signaling.over }
                withTimeoutOrNull(HANG_UP) { carrying.join() }
                    ?: log.line(LogLevel.WARNING, "The hang-up could not be delivered.")
                carrying.cancel()
            }
        } finally {
            monitor.change { signaling.finish(closed()) }
        }
    }

    /** Connect, and reconnect as often as needed, until the call is over. */
    private suspend fun keepConnected() {
        while (monitor.read { !signaling.over }) {
            val end = carry()
            val wait =
                when (val step = monitor.change { signaling.broke(end) }) {
                    is Step.Resume -> step.wait
                    is Step.Rejoin -> step.wait
                    is Step.HasLeft,
                    is Step.Over -> break
                }
            log.line(LogLevel.INFO, "The connection broke: ${end.brief}. Reconnecting in $wait.")
            pause(wait)
            // Otherwise the next stream would use the network connection of the last one.
            channel.enterIdle()
        }
        logEnd()
    }

    private fun logEnd() {
        val error = monitor.read { signaling.error }
        if (error == null) log.line(LogLevel.INFO, "The call is over.")
        else log.line(LogLevel.WARNING, "The call ended: ${error.brief}.")
    }

    /** Carry the session over one stream. Returns how the stream ended. */
    private suspend fun carry(): Ended =
        try {
            coroutineScope {
                launch { watch() }
                val headers = headersWith(token, monitor.read { signaling.roomId })
                launch { noticeSilence() }
                SignalingCoroutineStub(named).signal(requests(), headers).collect {
                    monitor.change { signaling.receive(it.framesList) }
                }
                coroutineContext.cancelChildren()
            }
            ended(StatusException(Status.OK.withDescription("The server ended the stream.")))
        } catch (ended: Ended) {
            ended
        } catch (failure: StatusException) {
            if (channel.isShutdown) Ended(Status.Code.CANCELLED, "The channel was shut down.")
            else ended(failure)
        } catch (failure: Throwable) {
            currentCoroutineContext().ensureActive()
            Ended(Status.Code.INTERNAL, "The client failed.", cause = failure)
        }

    private fun ended(failure: StatusException): Ended {
        val seated = monitor.read { signaling.room != null }
        return failure.status.toEnded(failure.trailers, seated)
    }

    /** End a stream if it is not answered in time, when the network has changed, or at the end. */
    private suspend fun watch() {
        withTimeoutOrNull(ANSWER) {
            monitor.await { !signaling.reconnecting || hasNewNetwork || signaling.over }
        } ?: throw Unavailable("The server did not answer in time.")
        monitor.await { hasNewNetwork || signaling.over }
        if (monitor.read { hasNewNetwork }) throw Unavailable("The network changed.")
        delay(WIND_UP)
        throw Unavailable("The server did not end the stream in time.")
    }

    /** End a stream when the server has fallen silent. */
    private suspend fun noticeSilence() {
        var known = -1L
        while (true) {
            withTimeoutOrNull(SILENCE) {
                monitor.await {
                    signaling.messagesReceived != known.also { known = signaling.messagesReceived }
                }
            } ?: throw Unavailable("The server sent nothing for $SILENCE.")
        }
    }

    /** Wait before the next try, unless the network changes or the app hangs up. */
    private suspend fun pause(wait: Duration) {
        val wasHangingUp = monitor.read { signaling.hangingUp }
        withTimeoutOrNull(wait) {
            monitor.await { hasNewNetwork || signaling.hangingUp != wasHangingUp || signaling.over }
        }
        monitor.change { hasNewNetwork = false }
    }

    /** The messages to write, one at a time, until the call ends. */
    private fun requests(): Flow<SignalRequest> = flow {
        while (true) {
            emit(nextRequest() ?: break)
            monitor.change { signaling.wrote() }
        }
    }

    /** The next message to write, or null after the last one. */
    private suspend fun nextRequest(): SignalRequest? {
        while (true) {
            val version = monitor.version
            val request = monitor.read { signaling.nextRequest() }
            if (request != null || monitor.read { isWritten() }) return request
            val wait = monitor.read { signaling.paceWait }
            if (wait.isFinite()) log.line(LogLevel.DEBUG, "Frames wait $wait: they are too fast.")
            withTimeoutOrNull(wait) { monitor.awaitChange(version) }
        }
    }

    private fun isWritten() = signaling.over || signaling.detaching && !signaling.hasToWrite
}
