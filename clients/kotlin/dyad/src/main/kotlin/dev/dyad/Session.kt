package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.SignalRequest

/** Past this, frames that wait go out in more than one message. */
private const val MESSAGE_BYTES = 200 * 1024

/** What a frame adds to a message besides its own bytes: its tag, its length, its `ack`. */
internal const val FRAME_OVERHEAD = 24

/** Acknowledge at the latest after this much (docs/protocol.md). */
private const val ACK_FRAMES = 32
private const val ACK_BYTES = 32 * 1024

/** The most frames and bytes that may be unacknowledged (docs/protocol.md). */
private const val UNACKNOWLEDGED_FRAMES = 256
private const val UNACKNOWLEDGED_BYTES = 256 * 1024

/**
 * This side of a session: numbers in, numbers out, and what is yet to be written.
 *
 * Plain state, without I/O and for one thread at a time. It knows nothing of the stream that
 * carries it, so it can go on over another one.
 */
internal class Session {
    private class Kept(val frame: Frame) {
        val bytes = frame.serializedSize + FRAME_OVERHEAD
    }

    private val waiting = ArrayDeque<Kept>()
    private val unacknowledged = ArrayDeque<Kept>()
    private var unacknowledgedBytes = 0
    private var next = 1L
    private var framesSinceAck = 0
    private var bytesSinceAck = 0
    private var owesAck = false
    private var owesAnswer = false
    private var opening: Frame? = null
    private var interrupted = false
    private var resumable = false

    /** The highest number received from the server; the `ack` to send. */
    var takenIn: Long = 0
        private set

    private var acknowledged = 0L

    /** Grows with each frame that got through, either way. */
    val progress: Long
        get() = takenIn + acknowledged

    /** How much was [put] and is not yet out of [take]. */
    var waitingBytes: Int = 0
        private set

    /** Number [frame] and keep it for the next [take]; returns its number. */
    fun put(frame: Frame.Builder): Long {
        val kept = Kept(frame.setSeq(next).build())
        if (kept.frame.hasJoinRoom()) resumable = kept.frame.joinRoom.resumable
        waiting.addLast(kept)
        waitingBytes += kept.bytes
        return next++
    }

    /** What to write next, in order, up to the size of a message; null: nothing at present. */
    fun take(): SignalRequest? {
        opening?.let {
            opening = null
            return message(listOf(it))
        }
        if (interrupted) return null
        val frames = mutableListOf<Frame>()
        var bytes = 0
        while (waiting.isNotEmpty()) {
            val kept = waiting.first()
            if (frames.isNotEmpty() && bytes + kept.bytes > MESSAGE_BYTES) break
            if (resumable && !mayStandUnacknowledged(kept)) break
            waiting.removeFirst()
            if (resumable) {
                unacknowledged.addLast(kept)
                unacknowledgedBytes += kept.bytes
            }
            frames += kept.frame
            bytes += kept.bytes
        }
        waitingBytes -= bytes
        val answers = owesAnswer
        owesAnswer = false
        if (frames.isEmpty() && !ackIsDue()) return if (answers) message(frames) else null
        val last = frames.removeLastOrNull()?.toBuilder() ?: Frame.newBuilder()
        frames += last.setAck(takenIn).build()
        framesSinceAck = 0
        bytesSinceAck = 0
        owesAck = false
        return message(frames)
    }

    /** A heartbeat came: the next message answers it, whatever it carries. */
    fun heartbeat() {
        owesAnswer = true
    }

    /** What [take] gave is written: it answers the heartbeats that came meanwhile. */
    fun wrote() {
        owesAnswer = false
    }

    /**
     * Take note of the numbers of a frame from the server.
     *
     * @return whether to act on it; false: it is a repeat.
     * @throws TakenOver a frame in between is missing.
     */
    fun arrive(frame: Frame): Boolean {
        acknowledged(frame.ack)
        if (frame.seq == 0L) return true
        if (frame.seq <= takenIn) return false
        if (frame.seq != takenIn + 1) {
            throw TakenOver(
                "Number ${frame.seq} came from the server; number ${takenIn + 1} was next."
            )
        }
        takenIn = frame.seq
        framesSinceAck += 1
        bytesSinceAck += frame.serializedSize
        return true
    }

    /** On a new stream, let [frame] be all that is written until [resume]. */
    fun interrupt(frame: Frame) {
        opening = frame
        interrupted = true
    }

    /** Continue after [acknowledged], the last number the server received. */
    fun resume(acknowledged: Long) {
        acknowledged(acknowledged)
        while (unacknowledged.isNotEmpty()) {
            val kept = unacknowledged.removeLast()
            waiting.addFirst(kept)
            waitingBytes += kept.bytes
        }
        unacknowledgedBytes = 0
        interrupted = false
        owesAck = true
    }

    /** Keep nothing for a resume any more: there will be none. */
    fun letGo() {
        resumable = false
        unacknowledged.clear()
        unacknowledgedBytes = 0
    }

    private fun acknowledged(seq: Long) {
        acknowledged = maxOf(acknowledged, seq)
        while (unacknowledged.isNotEmpty() && unacknowledged.first().frame.seq <= seq) {
            unacknowledgedBytes -= unacknowledged.removeFirst().bytes
        }
    }

    private fun mayStandUnacknowledged(kept: Kept): Boolean =
        unacknowledged.isEmpty() ||
            unacknowledged.size < UNACKNOWLEDGED_FRAMES &&
                unacknowledgedBytes + kept.bytes <= UNACKNOWLEDGED_BYTES

    private fun ackIsDue(): Boolean =
        owesAck || resumable && (framesSinceAck >= ACK_FRAMES || bytesSinceAck >= ACK_BYTES)

    private fun message(frames: List<Frame>): SignalRequest =
        SignalRequest.newBuilder().addAllFrames(frames).build()
}
