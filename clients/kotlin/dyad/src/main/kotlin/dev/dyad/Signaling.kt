package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.SignalRequest
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred

/** While more bytes than this wait to be written, `send…` waits. */
private const val OUTBOX_BYTES = 1024 * 1024

/**
 * If more events than this wait for the app, the connection ends. It cannot stop reading instead,
 * because then heartbeats would go unanswered.
 */
private const val INBOX_BYTES = 1024 * 1024

/**
 * The state of a participant's connection: its room, the frames that wait for an answer, and the
 * events that wait for the app.
 *
 * It is plain state without I/O, for one thread at a time. It receives frames, and returns events
 * and frames to send.
 */
internal class Signaling(private val policy: ReconnectPolicy) {
    private class Waiting(val event: Event, val bytes: Int)

    private var session = Session()
    private val replies = mutableMapOf<Long, CompletableDeferred<Frame>>()
    private val inbox = ArrayDeque<Waiting>()
    private var inboxBytes = 0
    private var roomId = ""
    private var leaveSeq: Long? = null

    /** Whether this participant has left its room and entered no other. */
    var left: Boolean = false
        private set

    /** How the connection ended, or null while it goes on. */
    var end: Ended? = null
        private set

    /** Whether there is a seat to resume. */
    val hasSeat: Boolean
        get() = policy.hasSeat

    /** Whether the connection broke and the client has not reconnected yet. */
    val reconnecting: Boolean
        get() = policy.reconnecting

    /** Grows with each message from the server. */
    var messagesReceived: Long = 0
        private set

    val mayPut: Boolean
        get() = session.waitingBytes <= OUTBOX_BYTES

    val hasToWrite: Boolean
        get() = session.waitingBytes > 0

    val hasEvent: Boolean
        get() = inbox.isNotEmpty()

    /** The next event for the app, or null if there is none at present. */
    fun nextEvent(): Event? =
        inbox.removeFirstOrNull()?.let {
            inboxBytes -= it.bytes
            it.event
        }

    /** The next message to write, or null if there is none at present. */
    fun nextRequest(): SignalRequest? = session.take()

    /** Record that the message from [nextRequest] was written. */
    fun wrote(): Unit = session.wrote()

    /** The id of the room that this participant is in. */
    fun room(): String {
        end?.let { throw it }
        if (roomId.isEmpty()) throw Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        return roomId
    }

    /** Send [frame] and complete [reply] with the server's answer. Returns the frame's number. */
    fun ask(frame: Frame.Builder, reply: CompletableDeferred<Frame>): Long {
        end?.let { throw it }
        val seq = session.put(frame)
        if (frame.hasLeaveRoom()) leaveSeq = seq
        replies[seq] = reply
        return seq
    }

    /** Stop waiting for the answer to frame [seq] with [reply]. */
    fun forget(seq: Long, reply: CompletableDeferred<Frame>) {
        replies.remove(seq, reply)
    }

    /** Send [frame] to the peer. */
    fun send(frame: Frame.Builder) {
        // The client is joining again, in a new session: this frame belongs to the old one.
        if (!policy.rejoining) session.put(frame)
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
        if (inboxBytes > INBOX_BYTES) {
            throw Overloaded("The app left 1 MiB of events waiting.", -1.milliseconds)
        }
    }

    private fun receive(frame: Frame) {
        if (policy.resuming) {
            if (!frame.joinRoom.resumed) throw TakenOver("The server did not resume the seat.")
            policy.seated(frame)
            session.resume(frame.ack)
            queue(Reconnected(frame.toRoom(), resumed = true))
        } else if (session.arrive(frame) && !(frame.replyTo > 0 && receiveAnswer(frame))) {
            frame.toEvent()?.let { queue(it, frame.serializedSize + FRAME_OVERHEAD) }
        }
    }

    /** Decide what to do after a stream ended with [end]. */
    fun broke(end: Ended): Step {
        val wasConnected = !policy.reconnecting
        val step = policy.broke(end, session.progress, leaving = leaveSeq != null)
        when (step) {
            is Step.Resume -> {
                session.interrupt(policy.resumeFrame(session.received))
                if (wasConnected) queue(Reconnecting)
            }
            is Step.Rejoin -> {
                session = Session()
                session.put(
                    Frame.newBuilder()
                        .setRoomId(policy.roomId)
                        .setJoinRoom(JoinRoom.newBuilder().setResumable(true))
                )
                fail(end)
            }
            is Step.HasLeft -> {
                replies[leaveSeq]?.complete(Frame.getDefaultInstance())
                session = Session()
                fail(end)
                leave()
            }
            is Step.Over -> finish(step.end)
        }
        return step
    }

    /** End the connection with [how], unless it has ended before. */
    fun finish(how: Ended) {
        end = end ?: how
        fail(how)
    }

    /** Process the answer to a frame. Returns false if it is an event for the app. */
    private fun receiveAnswer(frame: Frame): Boolean {
        // The answer counts even if the function no longer waits.
        if (frame.replyTo == leaveSeq) leaveSeq = null
        if (frame.hasJoinRoom()) enter(frame)
        else if (frame.hasLeaveRoom()) leave()
        else if (policy.rejoining) {
            val refused = frame.toRefused()
            throw TakenOver(
                "The seat is lost, and joining again failed: ${refused.message}",
                cause = refused,
            )
        }
        val reply = replies[frame.replyTo] ?: return !frame.hasError()
        reply.complete(frame)
        return true
    }

    private fun enter(joined: Frame) {
        val again = policy.rejoining
        policy.seated(joined)
        if (!policy.hasSeat) session.stopKeeping()
        roomId = joined.roomId
        left = false
        if (again) queue(Reconnected(joined.toRoom(), resumed = false))
    }

    private fun leave() {
        policy.left()
        session.stopKeeping()
        leaveSeq = null
        roomId = ""
        left = true
    }

    private fun queue(event: Event, bytes: Int = 0) {
        inbox += Waiting(event, bytes)
        inboxBytes += bytes
    }

    private fun fail(how: Ended) = replies.values.forEach { it.completeExceptionally(how) }
}
