package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import dev.dyad.v1.SignalRequest
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred

/** Past this many bytes not yet written, `send…` waits. */
private const val OUTBOX_BYTES = 1024 * 1024

/**
 * More events than this may not wait to be collected. If reading stopped, heartbeats would go
 * unanswered, so the connection ends instead.
 */
private const val INBOX_BYTES = 1024 * 1024

/**
 * What a participant's connection knows: which room it is in, what it asked and was not answered,
 * what happened and was not collected.
 *
 * Plain state, without I/O and for one thread at a time: frames in, events and frames out.
 */
internal class Signaling(private val policy: ReconnectPolicy) {
    private class Waiting(val event: Event, val bytes: Int)

    private var session = Session()
    private val replies = mutableMapOf<Long, CompletableDeferred<Frame>>()
    private val inbox = ArrayDeque<Waiting>()
    private var inboxBytes = 0
    private var roomId = ""
    private var leaveSeq: Long? = null

    /** It left a room, and entered no other one. */
    var left: Boolean = false
        private set

    /** How it ended; null: it did not. */
    var end: Ended? = null
        private set

    /** Whether there is a seat to resume. */
    val hasSeat: Boolean
        get() = policy.hasSeat

    /** Whether the connection broke and is not back yet. */
    val reconnecting: Boolean
        get() = policy.reconnecting

    /** Grows with each message from the server. */
    var heard: Long = 0
        private set

    val mayPut: Boolean
        get() = session.waitingBytes <= OUTBOX_BYTES

    val hasToWrite: Boolean
        get() = session.waitingBytes > 0

    val hasEvent: Boolean
        get() = inbox.isNotEmpty()

    /** The next event to tell the app; null: none at present. */
    fun nextEvent(): Event? =
        inbox.removeFirstOrNull()?.let {
            inboxBytes -= it.bytes
            it.event
        }

    /** What to write next; null: nothing at present. */
    fun nextRequest(): SignalRequest? = session.take()

    /** What [nextRequest] gave is written. */
    fun wrote(): Unit = session.wrote()

    /** The room this participant is in, for a frame to name. */
    fun room(): String {
        end?.let { throw it }
        if (roomId.isEmpty()) throw Refused(Refusal.NOT_IN_ROOM, "This connection is in no room.")
        return roomId
    }

    /** Send [frame], where [reply] is to be told the server's answer; returns its number. */
    fun ask(frame: Frame.Builder, reply: CompletableDeferred<Frame>): Long {
        end?.let { throw it }
        val seq = session.put(frame)
        if (frame.hasLeaveRoom()) leaveSeq = seq
        replies[seq] = reply
        return seq
    }

    /** [reply] waits for the answer to number [seq] no longer. */
    fun forget(seq: Long, reply: CompletableDeferred<Frame>) {
        replies.remove(seq, reply)
    }

    /** Send [frame] to the peer. */
    fun send(frame: Frame.Builder) {
        // Joining again starts a new call: this frame belongs to the old one.
        if (!policy.rejoining) session.put(frame)
    }

    /**
     * Act on a message from the server.
     *
     * @throws Ended the stream cannot go on.
     */
    fun takeIn(frames: List<Frame>) {
        heard += 1
        if (frames.isEmpty()) session.heartbeat()
        frames.forEach(::takeIn)
        if (inboxBytes > INBOX_BYTES) {
            throw Overloaded("The app took no events until 1 MiB of them waited.", -1.milliseconds)
        }
    }

    private fun takeIn(frame: Frame) {
        if (policy.resuming) {
            if (!frame.joinRoom.resumed) throw TakenOver("The server did not give the seat back.")
            policy.seated(frame)
            session.resume(frame.ack)
            tell(Reconnected(frame.toRoom(), resumed = true))
        } else if (session.arrive(frame) && !(frame.replyTo > 0 && takeInAnswer(frame))) {
            frame.toEvent()?.let { tell(it, frame.serializedSize + FRAME_OVERHEAD) }
        }
    }

    /** Decide what to do after a stream ended with [end]. */
    fun broke(end: Ended): Step {
        val wasConnected = !policy.reconnecting
        val step = policy.broke(end, session.progress, leaving = leaveSeq != null)
        when (step) {
            is Step.Resume -> {
                session.interrupt(policy.resumeFrame(session.takenIn))
                if (wasConnected) tell(Reconnecting)
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

    /** It is over, with [how]; the first one stays. */
    fun finish(how: Ended) {
        end = end ?: how
        fail(how)
    }

    /** Act on what answers a frame of this side's; false: it is an event for the app. */
    private fun takeInAnswer(frame: Frame): Boolean {
        // The answer counts even if its caller has been cancelled.
        if (frame.replyTo == leaveSeq) leaveSeq = null
        if (frame.hasJoinRoom()) enter(frame)
        else if (frame.hasLeaveRoom()) leave()
        else if (policy.rejoining) {
            val refused = frame.toRefused()
            throw TakenOver(
                "The seat is lost, and the room is closed: ${refused.message}",
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
        if (!policy.hasSeat) session.letGo()
        roomId = joined.roomId
        left = false
        if (again) tell(Reconnected(joined.toRoom(), resumed = false))
    }

    private fun leave() {
        policy.left()
        session.letGo()
        leaveSeq = null
        roomId = ""
        left = true
    }

    private fun tell(event: Event, bytes: Int = 0) {
        inbox += Waiting(event, bytes)
        inboxBytes += bytes
    }

    private fun fail(how: Ended) = replies.values.forEach { it.completeExceptionally(how) }
}
