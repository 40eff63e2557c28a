package dev.dyad

import dev.dyad.v1.Frame
import dev.dyad.v1.JoinRoom
import kotlin.random.Random
import kotlin.time.ComparableTimeMark
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/**
 * The longest wait before the first attempt, the second, and so on. The last one is also for all
 * later attempts.
 */
private val WAITS = listOf(100, 250, 500, 1000, 2000, 4000).map { it.milliseconds }

/** A stream that lasted this long was a success, even if no frame got through. */
private val STEADY = 5.seconds

private const val NONE = -1L

/** What to do about a connection that broke. */
internal sealed interface Step {
    /** After [wait], take back the reserved seat, on a new stream. */
    data class Resume(val wait: Duration) : Step

    /** After [wait], join the room again, on a new stream and in a new session. */
    data class Rejoin(val wait: Duration) : Step

    /** The app was leaving, and the seat is released. */
    data object HasLeft : Step

    /** The connection is over. */
    data class Over(val end: Ended) : Step
}

/**
 * Decides whether, when and how to reconnect, by the table in docs/protocol.md.
 *
 * A state machine without I/O: the time and the random numbers are handed in.
 */
internal class ReconnectPolicy(
    private val giveUpAfter: Duration,
    private val time: TimeSource.WithComparableMarks = TimeSource.Monotonic,
    private val random: Random = Random.Default,
) {
    private enum class Phase {
        CONNECTED,
        RESUMING,
        REJOINING,
    }

    private var phase = Phase.CONNECTED
    private var token = ""
    private var cause: Ended? = null
    private var tokenWasRefused = false
    private var progress = NONE
    private var connectedAt = time.markNow()
    private var deadline: ComparableTimeMark = connectedAt

    /** The room with the seat, or empty. */
    var roomId: String = ""
        private set

    /** How many attempts there were since the connection last worked. */
    var attempts: Int = 0
        private set

    /** Whether there is a seat to resume. */
    val hasSeat: Boolean
        get() = token.isNotEmpty()

    val resuming: Boolean
        get() = phase == Phase.RESUMING

    val rejoining: Boolean
        get() = phase == Phase.REJOINING

    val reconnecting: Boolean
        get() = phase != Phase.CONNECTED

    /**
     * Record the server's `join_room`: this participant is in a room.
     *
     * @param progress of the session, this frame included.
     */
    fun seated(joined: Frame, progress: Long) {
        roomId = joined.roomId
        token = joined.joinRoom.resumeToken
        // A new session counts from 0 again, and its join is no progress.
        if (rejoining) this.progress = progress
        phase = Phase.CONNECTED
        connectedAt = time.markNow()
    }

    /** Let the waits start over: the app is leaving, and a user waits for that. */
    fun hurry() {
        attempts = 0
    }

    /** The first frame on a new stream. Nothing else may be sent until the server answers it. */
    fun resumeFrame(received: Long): Frame =
        Frame.newBuilder()
            .setRoomId(roomId)
            .setAck(received)
            .setJoinRoom(JoinRoom.newBuilder().setResumable(true).setResumeToken(token))
            .build()

    /**
     * Decide what follows after a stream ended with [end].
     *
     * @param progress grows with each frame that got through, in either direction.
     * @param leaving whether a `leave_room` waits for its answer.
     */
    fun broke(end: Ended, progress: Long, leaving: Boolean): Step {
        val refused = phase == Phase.RESUMING && end is TakenOver
        val replaced = end is TakenOver && end.isFinal
        return when {
            leaving && (refused || replaced || phase == Phase.REJOINING) -> Step.HasLeft
            !hasSeat || end.isFinal -> Step.Over(end)
            phase == Phase.CONNECTED -> {
                lost(end, progress)
                again(end)
            }
            refused && (cause is Overloaded || cause is TimedOut) -> Step.Over(cause ?: end)
            refused -> {
                phase = Phase.REJOINING
                wait(end)
            }
            else -> again(end)
        }
    }

    private fun lost(end: Ended, progress: Long) {
        phase = Phase.RESUMING
        cause = end
        if (progress != this.progress || connectedAt.elapsedNow() >= STEADY) {
            attempts = 0
            tokenWasRefused = false
            deadline = time.markNow() + giveUpAfter
        }
        this.progress = progress
    }

    private fun again(end: Ended): Step {
        val isOver =
            when (end) {
                is Unavailable,
                is Overloaded,
                is TimedOut -> false
                is Unauthenticated -> tokenWasRefused.also { tokenWasRefused = true }
                else -> true
            }
        return if (isOver) Step.Over(end) else wait(end)
    }

    private fun wait(end: Ended): Step {
        val longest = WAITS[minOf(attempts, WAITS.lastIndex)]
        attempts += 1
        val wait =
            end.retryAfter?.let { it * (1 + random.nextDouble() / 2) }
                ?: (longest * random.nextDouble())
        return when {
            time.markNow() + wait > deadline -> Step.Over(end)
            rejoining -> Step.Rejoin(wait)
            else -> Step.Resume(wait)
        }
    }
}
