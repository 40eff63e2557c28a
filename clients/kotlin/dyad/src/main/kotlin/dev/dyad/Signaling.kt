package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.LeaveRoom
import dev.dyad.v1.SignalRequest
import io.grpc.Status
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds

/** While more bytes than this wait to be written, `send…` waits. */
private const val OUTBOX_BYTES = 1024 * 1024

/** The most that `seq` and `ack` add to a frame. */
private const val NUMBERS_BYTES = 22

/**
 * The state of one call, from the join to the hang-up: its room, its session, and the events that
 * wait for the app.
 *
 * It is plain state without I/O, for one thread at a time. It receives frames, and returns events
 * and frames to send.
 */
internal class Signaling(
    private val policy: ReconnectPolicy,
    private val pace: Pace,
    private val limits: Limits,
) {
    private var session = Session(pace)
    private var joinSeq = 0L
    private var leaveSeq = 0L

    /** The room that it is in or asks to enter, or empty while it creates one. */
    var roomId: String = ""
        private set

    /** Whether the app hangs up, so that only the `leave_room` still matters. */
    var hangingUp: Boolean = false
        private set

    private var leavesInOrder = false

    /** Whether the connection ends without a hang-up, once everything is written. */
    var detaching: Boolean = false
        private set

    /** Whether the call is over. */
    var over: Boolean = false
        private set

    /** Why the call is over, or null if the app ended it. */
    var error: DyadException? = null
        private set

    /** The room as it was when this participant entered it, or null before that. */
    var room: Room? = null
        private set

    /** Whether the call ended, or is about to, before it began: refused, or given up by the app. */
    val cameToNothing: Boolean
        get() = room == null && (over || hangingUp) && error !is Ended

    /** Why the last stream ended. */
    var cause: Ended? = null
        private set

    val inbox: Inbox = Inbox()

    /**
     * Whether this participant has, or had when its connection broke, a seat that it may resume.
     */
    val hasSeat: Boolean
        get() = policy.hasSeat

    /** Whether the connection broke and the client has not reconnected yet. */
    val reconnecting: Boolean
        get() = policy.reconnecting

    /** How many attempts to reconnect there were since the connection last worked. */
    val attempts: Int
        get() = policy.attempts

    /** Grows with each message from the server. */
    var messagesReceived: Long = 0
        private set

    val mayPut: Boolean
        get() = session.waitingBytes <= OUTBOX_BYTES

    val hasToWrite: Boolean
        get() = session.waitingBytes > 0

    /** How long the next message waits for the pace, if it waits for nothing else. */
    val paceWait: Duration
        get() = session.paceWait

    /** The next message to write, or null if there is none at present. */
    fun nextRequest(): SignalRequest? = session.take()

    /** Record that the message from [nextRequest] was written. */
    fun wrote(): Unit = session.wrote()

    /** Enter a room, in the first frame of the call. */
    fun enter(roomId: String, resumable: Boolean) {
        this.roomId = roomId
        joinSeq =
            session.put(
                Frame.newBuilder()
                    .setRoomId(roomId)
                    .setJoinRoom(JoinRoom.newBuilder().setResumable(resumable))
            )
    }

    /**
     * Send [frame] to the peer.
     *
     * @throws Refused this participant is in no room.
     * @throws TooLarge the server would not accept it.
     * @throws Ended the call is over.
     */
    fun send(frame: Frame.Builder) {
        (error as? Ended)?.let { throw it }
        val roomId = room?.roomId
        if (roomId == null || hangingUp || over) throw notInRoom()
        val bytes = frame.setRoomId(roomId).build().serializedSize + NUMBERS_BYTES
        if (bytes > limits.frameBytes) throw TooLarge(bytes, limits.frameBytes)
        // The client is joining again, in a new session: this frame belongs to the old one.
        if (!policy.rejoining) session.put(frame)
    }

    /**
     * Leave the room, and end the events.
     *
     * @param inOrder after all frames that were sent; otherwise as soon as possible.
     */
    fun hangUp(inOrder: Boolean) {
        if (over || hangingUp) return
        hangingUp = true
        leavesInOrder = inOrder
        inbox.close()
        policy.hurry()
        val isInRoom = room != null && !policy.rejoining
        // A join that is not written has no effect. One that is must be answered first.
        if (isInRoom) putLeave() else if (hasToWrite) finish(null)
    }

    /** End the connection after the last frame is written, and let the server reserve the seat. */
    fun detach() {
        if (over) return
        detaching = true
        inbox.close()
        if (room == null || reconnecting) finish(null)
    }

    /** End the call because of [how], or because the app ended it. */
    fun finish(how: DyadException?) {
        if (over) return
        over = true
        error = if (hangingUp || detaching) null else how
        if (error == null) inbox.close()
    }

    /**
     * Process a message from the server.
     *
     * @throws Ended the stream must end.
     */
    fun receive(frames: List<Frame>) {
        messagesReceived += 1
        if (frames.isEmpty()) session.heartbeat()
        frames.forEach(::receive)
        if (inbox.isFull) {
            throw Overloaded("The app left 1 MiB of events waiting.", -1.milliseconds)
        }
    }

    private fun receive(frame: Frame) {
        if (policy.resuming) {
            if (!frame.joinRoom.resumed) throw TakenOver("The server did not resume the seat.")
            policy.seated(frame, session.progress)
            session.resume(frame.ack)
            queue(Reconnected(frame.toRoom(), resumed = true))
        } else if (session.arrive(frame) && !isAnswer(frame)) {
            frame.toEvent()?.let { queue(it, frame.serializedSize + FRAME_OVERHEAD) }
        }
    }

    /** Process the answer to a frame. Returns false if it is an event for the app. */
    private fun isAnswer(frame: Frame): Boolean {
        when (frame.replyTo) {
            0L -> return false
            joinSeq -> if (frame.hasError()) refused(frame.toRefused()) else entered(frame)
            // Whatever the answer is, this participant is no longer in the room.
            leaveSeq -> finish(null)
            else -> return !frame.hasError()
        }
        return true
    }

    private fun refused(refused: Refused) {
        if (policy.rejoining) {
            throw TakenOver(
                "The seat is lost, and joining again failed: ${refused.message}",
                cause = refused,
            )
        }
        finish(refused)
    }

    private fun entered(joined: Frame) {
        val again = policy.rejoining
        policy.seated(joined, session.progress)
        if (!policy.hasSeat) session.stopKeeping()
        room = joined.toRoom()
        roomId = joined.roomId
        if (again) queue(Reconnected(joined.toRoom(), resumed = false))
        if (hangingUp) putLeave()
    }

    private fun putLeave() {
        val leave =
            Frame.newBuilder()
                .setRoomId(room?.roomId.orEmpty())
                .setLeaveRoom(LeaveRoom.getDefaultInstance())
        leaveSeq = if (leavesInOrder) session.put(leave) else session.putLast(leave)
    }

    /** Decide what to do after a stream ended with [end]. */
    fun broke(end: Ended): Step {
        if (over || detaching) {
            finish(null)
            return Step.Over(end)
        }
        cause = end
        val wasConnected = !policy.reconnecting
        val step = policy.broke(end, session.progress, leaving = hangingUp)
        when (step) {
            is Step.Resume -> {
                session.interrupt(policy.resumeFrame(session.received))
                if (wasConnected) queue(Reconnecting(policy.roomId, end))
            }
            is Step.Rejoin -> {
                session = Session(pace)
                enter(policy.roomId, resumable = true)
            }
            is Step.HasLeft -> finish(null)
            is Step.Over -> finish(step.end)
        }
        return step
    }

    private fun queue(event: Event, bytes: Int = FRAME_OVERHEAD): Unit = inbox.put(event, bytes)
}

/** There is no room to send to, or no longer. */
internal fun notInRoom(): Refused = Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")

/** What functions throw after the app closed the connection. */
internal fun closed(): Ended = Ended(Status.Code.CANCELLED, "The connection is closed.")
