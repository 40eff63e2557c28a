package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.SignalRequest
import kotlin.time.Duration

/** The most that goes into one message. A larger frame has a message of its own. */
private const val MESSAGE_BYTES = 200 * 1024

/** What a frame adds to a message besides its own bytes: its tag, its length, its `ack`. */
internal const val FRAME_OVERHEAD = 24

/** A side acknowledges after this much at the latest (docs/protocol.md). */
private const val ACK_FRAMES = 32
private const val ACK_BYTES = 32 * 1024

/**
 * One participant's session: the numbers sent and received, and the frames that wait to be written
 * or to be acknowledged.
 *
 * It is plain state without I/O, for one thread at a time. It does not know the stream that carries
 * it, so it can continue on another stream.
 *
 * @param pace limits what [take] returns.
 */
internal class Session(private val pace: Pace) {
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

    /** The highest number received from the server, which is the `ack` to send. */
    var received: Long = 0
        private set

    private var acknowledged = 0L

    /** Grows with each frame that got through, in either direction. */
    val progress: Long
        get() = received + acknowledged

    /** The size of the frames that were [put] and wait for [take]. */
    var waitingBytes: Int = 0
        private set

    /** Number [frame] and keep it for the next [take]. Returns its number. */
    fun put(frame: Frame.Builder): Long {
        val kept = Kept(frame.setSeq(next).build())
        if (kept.frame.hasJoinRoom()) resumable = kept.frame.joinRoom.resumable
        waiting.addLast(kept)
        waitingBytes += kept.bytes
        return next++
    }

    /**
     * Number [frame], which is the last one. If the pace would delay it, frames that were [put] and
     * not written are dropped, and their numbers used again. Returns its number.
     */
    fun putLast(frame: Frame.Builder): Long {
        if (waiting.isNotEmpty() && !pace.allows(waiting.size + 1, waitingBytes)) {
            next = waiting.first().frame.seq
            waiting.clear()
            waitingBytes = 0
        }
        return put(frame)
    }

    /** How long the next frame must wait for the pace, if it waits for nothing else. */
    val paceWait: Duration
        get() {
            val kept = waiting.firstOrNull()
            val waitsForServer = interrupted || kept == null || resumable && !mayWrite(kept)
            return if (waitsForServer) Duration.INFINITE else pace.wait(kept.bytes)
        }

    /** The next message to write, or null if nothing may be written at present. */
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
            if (resumable && !mayWrite(kept)) break
            if (!inPace(frames.size + 1, bytes + kept.bytes)) break
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
        frames += last.setAck(received).build()
        framesSinceAck = 0
        bytesSinceAck = 0
        owesAck = false
        return message(frames)
    }

    /** Record that a heartbeat arrived. The next message answers it, whatever that carries. */
    fun heartbeat() {
        owesAnswer = true
    }

    /**
     * Record that the message from [take] was written. It has also answered the heartbeats that
     * arrived during the write.
     */
    fun wrote() {
        owesAnswer = false
    }

    /**
     * Record the numbers of a frame from the server.
     *
     * @return false if the frame is a repeat, to be ignored.
     * @throws TakenOver a frame before it is missing.
     */
    fun arrive(frame: Frame): Boolean {
        acknowledged(frame.ack)
        if (frame.seq == 0L) return true
        if (frame.seq <= received) return false
        if (frame.seq != received + 1) {
            throw TakenOver(
                "The server sent frame ${frame.seq}, but frame ${received + 1} was next."
            )
        }
        received = frame.seq
        framesSinceAck += 1
        bytesSinceAck += frame.serializedSize
        return true
    }

    /** Start a new stream, on which [frame] is the only frame until [resume]. */
    fun interrupt(frame: Frame) {
        opening = frame
        interrupted = true
    }

    /** Continue after frame [acknowledged], the last one that the server has received. */
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

    /** Stop keeping frames: there will be no resume. */
    fun stopKeeping() {
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

    private fun mayWrite(kept: Kept): Boolean =
        unacknowledged.isEmpty() ||
            unacknowledged.size < pace.windowFrames &&
                (unacknowledgedBytes < LEAST_BYTES ||
                    unacknowledgedBytes + kept.bytes <= pace.windowBytes)

    private fun inPace(frames: Int, bytes: Int): Boolean =
        if (frames == 1) pace.wait(bytes) == Duration.ZERO else pace.allows(frames, bytes)

    private fun ackIsDue(): Boolean =
        owesAck || resumable && (framesSinceAck >= ACK_FRAMES || bytesSinceAck >= ACK_BYTES)

    private fun message(frames: List<Frame>): SignalRequest =
        SignalRequest.newBuilder().addAllFrames(frames).build().also {
            // The server counts a message as at least one frame.
            pace.spend(maxOf(frames.size, 1), it.serializedSize)
        }
}
