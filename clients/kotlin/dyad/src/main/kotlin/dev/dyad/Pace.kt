package dev.dyad

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.DurationUnit
import kotlin.time.TimeSource

/**
 * The client stays below the server's rate, because the two clocks and counts differ a little, and
 * heartbeats do not wait.
 */
private const val SHARE = 0.9

/**
 * The server accepts this user's frames of 5 s at once. 1.5 s of that may be written at once, and 3
 * s may be unacknowledged: whatever a network delays, and then delivers at once, is less.
 */
private const val BURST_SECONDS = 1.5
private const val WINDOW_SECONDS = 3

/** The largest window: the server keeps as much as this for a client (docs/protocol.md). */
private const val MOST_FRAMES = 256
private const val MOST_BYTES = 256 * 1024

/**
 * With less than this unacknowledged, the next frame never waits: the server acknowledges after 32
 * frames or 32 KiB, without [FRAME_OVERHEAD], and before that perhaps never.
 */
private const val LEAST_FRAMES = 33
internal const val LEAST_BYTES = 34 * 1024

/**
 * The server's limits for what one user sends. The defaults are those of `dyad serve`.
 *
 * @property frameBytes the size of a frame (`--max-frame-bytes`). A larger one is refused with
 *   [TooLarge].
 * @property framesPerSecond frames a second (`--max-frames-per-second`). What is faster waits.
 * @property bytesPerSecond bytes a second (`--max-bytes-per-second`). What is faster waits.
 */
public data class Limits(
    val frameBytes: Int = 65_536,
    val framesPerSecond: Int = 100,
    val bytesPerSecond: Int = 32_768,
) {
    init {
        require(frameBytes > 0 && framesPerSecond > 0 && bytesPerSecond > 0) {
            "A limit must be at least 1."
        }
    }
}

/**
 * Says when a message may be written, so that the server's limits are kept: two token buckets.
 *
 * It is plain state without I/O: the time is handed in.
 */
internal class Pace(
    limits: Limits,
    private val time: TimeSource.WithComparableMarks = TimeSource.Monotonic,
) {
    private val frames = Bucket(limits.framesPerSecond)
    private val bytes = Bucket(limits.bytesPerSecond)
    private var then = time.markNow()

    /** The most frames that may be unacknowledged. */
    val windowFrames: Int =
        (limits.framesPerSecond * WINDOW_SECONDS).coerceIn(LEAST_FRAMES, MOST_FRAMES)

    /** The most bytes that may be unacknowledged. */
    val windowBytes: Int =
        maxOf(limits.bytesPerSecond * WINDOW_SECONDS, LEAST_BYTES + limits.frameBytes)
            .coerceAtMost(MOST_BYTES)

    /** How long one frame must wait. If it is larger than a burst, it waits for a whole one. */
    fun wait(bytes: Int): Duration {
        fill()
        return maxOf(frames.wait(1), this.bytes.wait(bytes))
    }

    /** Whether this much may be written at once, now. */
    fun allows(frames: Int, bytes: Int): Boolean {
        fill()
        return frames <= this.frames.level && bytes <= this.bytes.level
    }

    /** Record that a message is written. Heartbeats and acknowledgements do not wait for [wait]. */
    fun spend(frames: Int, bytes: Int) {
        fill()
        this.frames.level -= frames
        this.bytes.level -= bytes
    }

    private fun fill() {
        val now = time.markNow()
        val seconds = (now - then).toDouble(DurationUnit.SECONDS)
        then = now
        frames.fill(seconds)
        bytes.fill(seconds)
    }

    private class Bucket(limit: Int) {
        private val rate = limit * SHARE
        private val burst = limit * BURST_SECONDS
        var level = burst

        fun fill(seconds: Double) {
            level = minOf(burst, level + seconds * rate)
        }

        fun wait(amount: Int): Duration {
            val missing = minOf(amount.toDouble(), burst) - level
            return if (missing <= 0) Duration.ZERO else (missing / rate).seconds
        }
    }
}
