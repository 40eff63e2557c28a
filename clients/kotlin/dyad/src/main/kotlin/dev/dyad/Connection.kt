package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.SessionDescription
import io.grpc.ManagedChannel
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineName
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull

/** How long `close` waits for the server. */
private val CLOSE = 5.seconds

/**
 * A participant's connection to the server: enter a room, negotiate, hang up.
 *
 * [Dyad.connect] returns it. It connects when the app enters a room, and reconnects by itself if it
 * has a resumable seat. It has one room at a time. After [leave] it may enter another. Any
 * coroutine may use it.
 */
public class Connection
internal constructor(
    private val scope: CoroutineScope,
    private val settings: Settings,
    private val token: suspend () -> String,
) {
    /** A call and what runs it. */
    private class Current(val call: Call, val job: Job)

    private val states = MutableStateFlow<ConnectionState>(ConnectionState.Idle)
    private val monitor = Monitor(changed = ::tellState)

    // Read and write these only with the lock of `monitor`.
    private val pace = Pace(settings.limits)
    private var current: Current? = null
    private var isClosed = false

    /**
     * What the connection is doing.
     *
     * A new value is there before the app hears of the same thing in any other way.
     */
    public val state: StateFlow<ConnectionState> = states.asStateFlow()

    /**
     * Names the latest stream in the server's log: show it in an error report.
     *
     * It is random and no secret. Each reconnect gives another one. It is empty until the server
     * has answered for the first time in a room.
     */
    public val streamId: String
        get() = monitor.read { current }?.call?.streamId.orEmpty()

    /**
     * The events of the call.
     *
     * There may be several collectors: each gets every event from when it began to collect. Events
     * that arrive while there is none wait for the next one. A collector that is cancelled loses
     * none: the next one gets what it did not. Before the first call, collecting waits for it.
     *
     * Completes when the app leaves the room or closes the connection; events that wait then are
     * dropped. Collect again after the next [create] or [join].
     *
     * @throws Ended if the call ends in any other way.
     */
    public val events: Flow<Event> =
        flow {
                do {
                    var call: Call? = null
                    monitor.await {
                        call = current?.call?.takeUnless { it.signaling.cameToNothing }
                        call != null || isClosed
                    }
                    emitAll(call?.ready ?: return@flow)
                } while (monitor.read { call?.signaling?.cameToNothing == true })
            }
            .taken()

    /**
     * Create a room and enter it. If the coroutine is cancelled, nothing is left behind.
     *
     * @param resumable ask the server to reserve the seat if the connection breaks.
     * @throws Refused the server refused, or this connection is in a room.
     * @throws Ended the server cannot be reached, or does not accept the token.
     */
    public suspend fun create(resumable: Boolean = true): Room = enter("", resumable)

    /**
     * Enter an existing room. If the coroutine is cancelled, nothing is left behind.
     *
     * @param roomId the room's UUID.
     * @param resumable ask the server to reserve the seat if the connection breaks.
     * @throws Refused there is no such room, or it is full, or this connection is in a room.
     * @throws Ended the server cannot be reached, or does not accept the token.
     */
    public suspend fun join(roomId: String, resumable: Boolean = true): Room {
        if (!ROOM_ID.matches(roomId)) {
            throw Refused(Refusal.INVALID_FRAME, "A room id is a UUID, and this is none.")
        }
        return enter(roomId, resumable)
    }

    /**
     * Hang up, after the frames that were sent before. Returns when the server has acknowledged
     * that, or has released the seat anyway, which takes 15 s at most. Without a room it does
     * nothing.
     */
    public suspend fun leave() {
        val leaving =
            monitor.change { current.also { it?.call?.signaling?.hangUp(inOrder = true) } }
                ?: return
        monitor.await { leaving.call.signaling.over }
    }

    /**
     * Send the peer an SDP offer. Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws TooLarge the server would not accept it.
     * @throws Ended the call is over.
     */
    public suspend fun sendOffer(sdp: String): Unit =
        send(Frame.newBuilder().setOffer(description(sdp)))

    /**
     * Send the peer an SDP answer. Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws TooLarge the server would not accept it.
     * @throws Ended the call is over.
     */
    public suspend fun sendAnswer(sdp: String): Unit =
        send(Frame.newBuilder().setAnswer(description(sdp)))

    /**
     * Send the peer an ICE candidate. An empty candidate marks their end.
     *
     * Waits only while 1 MiB waits to be written.
     *
     * @throws Refused not in a room. A refusal by the server arrives as an event.
     * @throws TooLarge the server would not accept it.
     * @throws Ended the call is over.
     */
    public suspend fun sendCandidate(candidate: Candidate): Unit =
        send(Frame.newBuilder().setIceCandidate(candidate.toIceCandidate()))

    /**
     * Reconnect now over a new network connection, if there is a resumable seat.
     *
     * Call it when the network has changed. Otherwise the client may need 13 seconds to notice.
     */
    public fun networkChanged() {
        monitor.read { current }?.call?.networkChanged()
    }

    /**
     * Hang up and end the connection for good. Returns when the server has acknowledged that, and
     * after 5 s at the latest. If the connection is broken, the client reconnects to hang up.
     */
    public suspend fun close(): Unit = endWithin(CLOSE, hangUpForGood())

    /**
     * The same as [close], but returns at once. The hang-up is delivered in the background, for up
     * to 15 s if the connection is broken. The scope waits for it, also if it is cancelled.
     */
    public fun hangUp() {
        hangUpForGood()
    }

    /**
     * End the connection for good, without hanging up: the server reserves the seat for its grace
     * time (15 s), and only then tells the peer.
     *
     * Meant for an app that is about to be restarted, and will enter the room again.
     */
    public suspend fun detach() {
        val last =
            monitor.change {
                isClosed = true
                current.also { it?.call?.signaling?.detach() }
            }
        endWithin(CLOSE, last)
    }

    private suspend fun enter(roomId: String, resumable: Boolean): Room {
        val mine = begin(roomId, resumable)
        val signaling = mine.call.signaling
        try {
            monitor.await { signaling.room != null || signaling.over }
            return monitor.change {
                signaling.error?.let { throw it }
                if (signaling.hangingUp) throw closed()
                checkNotNull(signaling.room)
            }
        } catch (cancelled: CancellationException) {
            monitor.change { signaling.hangUp(inOrder = false) }
            throw cancelled
        }
    }

    /** Begin a call. */
    private suspend fun begin(roomId: String, resumable: Boolean): Current {
        // The server might otherwise see the hang-up of the last call after this join.
        monitor.await { current?.call?.signaling?.run { over || !hangingUp } ?: true }
        val mine =
            monitor.change {
                if (isClosed || !scope.isActive) throw closed()
                if (current?.call?.signaling?.over == false) {
                    throw Refused(
                        Refusal.INVALID_FRAME,
                        "This connection is in a room: leave it first.",
                    )
                }
                val signaling =
                    Signaling(ReconnectPolicy(settings.giveUpAfter), pace, settings.limits)
                signaling.enter(roomId, resumable)
                val channel = settings.openChannel()
                val call = Call(signaling, channel, token, monitor, settings.log)
                Current(call, run(call, channel)).also { current = it }
            }
        scope.launch(Dispatchers.Default, CoroutineStart.UNDISPATCHED) { hold(mine) }
        return mine
    }

    /**
     * Run [call] apart from the app's scope, which must not cancel it before the hang-up. It still
     * has the context of that scope: interceptors find the app's span there.
     */
    private fun run(call: Call, channel: ManagedChannel): Job =
        CoroutineScope(
                scope.coroutineContext.minusKey(Job) + Dispatchers.Default + CoroutineName("dyad")
            )
            .launch { call.run() }
            .apply { invokeOnCompletion { settings.closeChannel(channel) } }

    /** Let the app's scope wait for the call, and hang up when that is cancelled. */
    private suspend fun hold(mine: Current) {
        try {
            monitor.await { mine.call.signaling.over }
        } catch (cancelled: CancellationException) {
            withContext(NonCancellable) {
                if (monitor.read { isClosed }) monitor.await { mine.call.signaling.over }
                else close()
            }
            throw cancelled
        }
    }

    private fun hangUpForGood(): Current? =
        monitor.change {
            isClosed = true
            current.also { it?.call?.signaling?.hangUp(inOrder = false) }
        }

    /** Wait until [last] has ended, and end it after [limit]. */
    private suspend fun endWithin(limit: Duration, last: Current?) {
        if (last == null || withTimeoutOrNull(limit) { last.job.join() } != null) return
        last.job.cancel()
        monitor.change { last.call.signaling.finish(closed()) }
    }

    private suspend fun send(frame: Frame.Builder) {
        val call =
            monitor.change {
                if (isClosed) throw closed()
                val call = current?.call ?: throw notInRoom()
                call.also { it.signaling.send(frame) }
            }
        monitor.await { call.signaling.mayPut || call.signaling.over }
        monitor.read { call.signaling.error as? Ended }?.let { throw it }
    }

    private fun tellState(): Unit = states.update { monitor.read(::stateNow) }

    private fun stateNow(): ConnectionState {
        val signaling = current?.call?.signaling
        val error = signaling?.error
        return when {
            signaling == null || signaling.over ->
                when {
                    isClosed -> ConnectionState.Ended(null)
                    error is Ended -> ConnectionState.Ended(error)
                    else -> ConnectionState.Idle
                }
            signaling.room == null -> ConnectionState.Connecting
            signaling.reconnecting ->
                ConnectionState.Reconnecting(signaling.attempts, checkNotNull(signaling.cause))
            else -> ConnectionState.Connected
        }
    }

    private fun description(sdp: String): SessionDescription =
        SessionDescription.newBuilder().setSdp(sdp).build()
}
