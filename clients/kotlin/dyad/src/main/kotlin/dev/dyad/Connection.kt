package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.LeaveRoom
import dev.dyad.v1.SessionDescription
import dev.dyad.v1.SignalRequest
import dev.dyad.v1.SignalingGrpcKt.SignalingCoroutineStub
import io.grpc.ManagedChannel
import io.grpc.Status
import io.grpc.StatusException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineName
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.cancelChildren
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull

/** How long `close` waits until the last frames are written. */
private val CLOSE = 1.seconds

/** How long a try to reconnect may take, from the token to the server's answer. */
private val ANSWER = 8.seconds

/** A server that sends nothing for this long is gone, even if a proxy answers pings for it. */
private val SILENCE = 25.seconds

/**
 * A participant's connection to the server: enter a room, negotiate, hang up.
 *
 * [Dyad.connect] returns it. It connects when there is something to send, and reconnects by itself
 * if it has a resumable seat. It has one room at a time. After [leave] it may enter another. Any
 * coroutine may use it.
 */
public class Connection
internal constructor(
    private val channel: ManagedChannel,
    scope: CoroutineScope,
    giveUpAfter: Duration,
    private val token: suspend () -> String,
    whenOver: () -> Unit,
) {
    // Read and write these only with the lock of `signaling`. `changes` counts the writes.
    private val signaling = Signaling(ReconnectPolicy(giveUpAfter))
    private var hasNewNetwork = false
    private var closing = false
    private val changes = MutableStateFlow(0L)

    private val job: Job =
        scope.launch(Dispatchers.Default + CoroutineName("dyad")) { keepConnected() }

    init {
        job.invokeOnCompletion {
            change {
                closing = closing || end == null
                finish(closed())
            }
            whenOver()
        }
    }

    /**
     * The events of the call. Each event goes to one collector only.
     *
     * Completes after [leave] and after [close].
     *
     * @throws Ended if the connection ends in any other way.
     */
    public val events: Flow<Event> = flow {
        while (true) {
            await { hasEvent || left || end != null }
            var over = false
            val event = change {
                over = !hasEvent
                if (over && !left && !closing) throw checkNotNull(end)
                nextEvent()
            }
            if (over) return@flow
            event?.let { emit(it) }
        }
    }

    /**
     * Create a room and enter it.
     *
     * @param resumable ask the server to reserve the seat if the connection breaks.
     * @throws Refused the server refused.
     * @throws Ended the connection ended first.
     */
    public suspend fun create(resumable: Boolean = true): Room = enter("", resumable)

    /**
     * Enter an existing room.
     *
     * @param resumable ask the server to reserve the seat if the connection breaks.
     * @throws Refused there is no such room, or it is full.
     * @throws Ended the connection ended first.
     */
    public suspend fun join(roomId: String, resumable: Boolean = true): Room =
        enter(roomId, resumable)

    /**
     * Hang up. Returns when the server has acknowledged that, or has released the seat anyway.
     *
     * @throws Refused this connection is in no room.
     * @throws Ended the connection ended first.
     */
    public suspend fun leave() {
        ask { setRoomId(signaling.room()).setLeaveRoom(LeaveRoom.getDefaultInstance()) }
    }

    /**
     * Send the peer an SDP offer. Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws Ended the connection is over.
     */
    public suspend fun sendOffer(sdp: String): Unit = send { setOffer(description(sdp)) }

    /**
     * Send the peer an SDP answer. Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws Ended the connection is over.
     */
    public suspend fun sendAnswer(sdp: String): Unit = send { setAnswer(description(sdp)) }

    /**
     * Send the peer an ICE candidate. An empty candidate marks their end.
     *
     * Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws Ended the connection is over.
     */
    public suspend fun sendCandidate(candidate: Candidate): Unit = send {
        setIceCandidate(candidate.toIceCandidate())
    }

    /**
     * Reconnect now over a new network connection, if there is a resumable seat.
     *
     * Call it when the network has changed. Otherwise the client may need 13 seconds to notice.
     */
    public fun networkChanged(): Unit = change { hasNewNetwork = hasSeat }

    /**
     * End the connection after the last frames are written.
     *
     * Without a [leave] before, the peer sees a lost connection.
     */
    public suspend fun close() {
        change { closing = true }
        try {
            withTimeoutOrNull(CLOSE) { job.join() }
        } finally {
            job.cancel()
        }
        job.join()
    }

    private suspend fun enter(roomId: String, resumable: Boolean): Room =
        ask { setRoomId(roomId).setJoinRoom(JoinRoom.newBuilder().setResumable(resumable)) }
            .toRoom()

    /** Send a frame and await the server's answer to it. */
    private suspend fun ask(fill: Frame.Builder.() -> Frame.Builder): Frame {
        checkNotCancelled()
        val reply = CompletableDeferred<Frame>()
        val seq = change { ask(Frame.newBuilder().fill(), reply) }
        try {
            val answer = reply.await()
            if (answer.hasError()) throw answer.toRefused()
            return answer
        } finally {
            change { forget(seq, reply) }
        }
    }

    private suspend fun send(fill: Frame.Builder.() -> Frame.Builder) {
        checkNotCancelled()
        change { send(Frame.newBuilder().setRoomId(signaling.room()).fill()) }
        await { mayPut || end != null }
        change { end }?.let { throw it }
    }

    /** After the scope is cancelled nothing can be sent, even before [job] has ended. */
    private fun checkNotCancelled() {
        if (job.isCancelled) throw closed()
    }

    private fun closed() = Ended(Status.Code.CANCELLED, "The connection is closed.")

    /** Connect, and reconnect as often as needed, until the connection is over. */
    private suspend fun keepConnected() {
        await { hasToWrite || closing }
        while (change { hasToWrite || !closing }) {
            val end = carry()
            if (change { closing }) return
            when (val step = change { broke(end) }) {
                is Step.Resume -> pause(step.wait)
                is Step.Rejoin -> pause(step.wait)
                is Step.HasLeft -> await { hasToWrite || closing }
                is Step.Over -> return
            }
            // Otherwise the next stream would use the network connection of the last one.
            channel.enterIdle()
        }
    }

    /** Carry the session over one stream. Returns how the stream ended. */
    private suspend fun carry(): Ended =
        try {
            coroutineScope {
                launch { watch() }
                val headers = headersWith(token)
                launch { noticeSilence() }
                SignalingCoroutineStub(channel).signal(requests(), headers).collect {
                    change { receive(it.framesList) }
                }
                coroutineContext.cancelChildren()
            }
            Ended(Status.Code.OK, "The server ended the stream.")
        } catch (ended: Ended) {
            ended
        } catch (failure: StatusException) {
            if (channel.isShutdown) Ended(Status.Code.CANCELLED, "The channel was shut down.")
            else failure.status.toEnded(failure.trailers)
        } catch (failure: Exception) {
            currentCoroutineContext().ensureActive()
            Ended(Status.Code.INTERNAL, "The client failed.", cause = failure)
        }

    /** End a stream if the resume is not answered in time, or when the network has changed. */
    private suspend fun watch() {
        withTimeoutOrNull(ANSWER) { await { !reconnecting || hasNewNetwork } }
            ?: throw Unavailable("The server did not answer in time.")
        await { hasNewNetwork }
        throw Unavailable("The network changed.")
    }

    /** End a stream when the server has fallen silent. */
    private suspend fun noticeSilence() {
        var known = -1L
        while (true) {
            withTimeoutOrNull(SILENCE) {
                await { messagesReceived != known.also { known = messagesReceived } }
            } ?: throw Unavailable("The server sent nothing for $SILENCE.")
        }
    }

    /** Wait before the next try, unless the network changes. */
    private suspend fun pause(wait: Duration) {
        withTimeoutOrNull(wait) { await { hasNewNetwork } }
        change { hasNewNetwork = false }
    }

    /** The messages to write, one at a time, until the connection is closed. */
    private fun requests(): Flow<SignalRequest> = flow {
        while (true) {
            var request: SignalRequest? = null
            await {
                request = nextRequest()
                request != null || closing && !hasToWrite
            }
            emit(request ?: return@flow)
            change { wrote() }
        }
    }

    /** Wait until [condition] is true. It is evaluated with the lock. */
    private suspend fun await(condition: Signaling.() -> Boolean) {
        changes.first { synchronized(signaling) { signaling.condition() } }
    }

    /** Run [act] with the lock, and wake every coroutine that waits for a change. */
    private inline fun <T> change(act: Signaling.() -> T): T =
        try {
            synchronized(signaling) { signaling.act() }
        } finally {
            changes.update { it + 1 }
        }

    private fun description(sdp: String): SessionDescription =
        SessionDescription.newBuilder().setSdp(sdp).build()
}
